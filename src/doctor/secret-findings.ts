// What tokens are sealed with. That it is 32 random bytes is seen to when the configuration is read.

import type { Config } from '../config/schema.ts';
import { durationText } from '../config/quantities.ts';
import { type Finding, ok, warning } from './report.ts';

export function secretFindings({ secrets, timeouts }: Pick<Config, 'secrets' | 'timeouts'>): Finding[] {
  if (secrets === undefined) {
    const seen = 'a random secret of the process: tokens end with it, and several replicas cannot read each other’s';
    return [ok('secrets', seen)];
  }
  const { current, previous } = secrets;
  if (previous === undefined) return [ok('secrets', 'secrets.current, 32 random bytes')];
  if (previous === current) {
    const remedy = 'put the one before into previous, or take previous out';
    return [warning('secrets', 'secrets.previous is the same as secrets.current', remedy)];
  }
  const remedy = `take it out once timeouts.sessionMax (${durationText(timeouts.sessionMax)}) has passed since they were changed`;
  return [warning('secrets', 'secrets.previous is still there, and opens what it has sealed', remedy)];
}
