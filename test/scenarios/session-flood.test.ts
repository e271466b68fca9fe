// Few of them; ten thousand in the long run.

import { describeFlood } from './session-flood.ts';

describeFlood(300);
