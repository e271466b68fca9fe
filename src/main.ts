#!/usr/bin/env node
// The process. What was compiled once is kept beside the program where that may be written: a third less time to start.
// Nowhere else: whoever could write there could have his code run.

import * as modules from 'node:module';
import { join } from 'node:path';
import { stopSignal } from './stop-signal.ts';

stopSignal.listen((code) => process.exit(code));
// An older Node has none, and is to come as far as the warning about that.
if ('enableCompileCache' in modules) modules.enableCompileCache(join(import.meta.dirname, '..', '.compile-cache'));
await import('./command-line.ts');
