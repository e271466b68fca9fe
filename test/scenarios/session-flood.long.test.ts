// See session-flood.ts.

import { describeFlood } from './session-flood.ts';

describeFlood(10_000);
