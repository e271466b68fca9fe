// Budgets of callers without the rest of a configuration.

import { parseConfig } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { Budgets } from '../../src/traffic/budgets.ts';
import { VirtualTime } from '../support/virtual-time.ts';

export function budgetsOf(budgets: ConfigInput['budgets'] = {}, clock = new VirtualTime()): Budgets {
  const config = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }], budgets });
  return new Budgets({ limits: () => config.budgets, clock });
}
