// `npm run docs`

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATED } from './generated-docs.ts';

for (const [file, page] of Object.entries(GENERATED)) {
  writeFileSync(join(import.meta.dirname, '../..', file), page());
}
