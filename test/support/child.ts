// A child process of one test: started by it, stopped when the test is over, and heard when the test failed.
import { onTestFailed, onTestFinished } from 'vitest';
import { WatchedChild, type ChildOptions } from './watched-child.ts';

const shownOutputChars = 6_000;

export class Child extends WatchedChild {
  constructor(options: ChildOptions) {
    super(options);
    onTestFinished(() => this.stop());
    onTestFailed(() => {
      console.error(`--- ${options.name} wrote to stderr, last part ---\n${this.stderr.slice(-shownOutputChars)}`);
    });
  }
}
