// The load generator, a process of its own: its garbage and its timers are not those of what it measures, and its CPU is
// counted apart. One crew of callers at a time.
import { legacyCallers, idleSessions, sessionCallers, sessionlessCallers, type Crew } from './callers.ts';
import { endWithParent } from './child.ts';
import type { Command, LoadFigures, Opening, Reply } from './load-messages.ts';
import { runLoad } from './load.ts';
import { churnCallers, modernCallers, roundsCallers } from './modern-callers.ts';
import { runOpenLoop } from './open-loop.ts';

const NOBODY: Crew = { callers: [], misrouted: () => 0, close: () => Promise.resolve() };
let crew = NOBODY;

// oxlint-disable-next-line consistent-return -- the switch is exhaustive, and the compiler checks that
function open({ way, count, ...target }: Opening): Promise<Crew> {
  switch (way) {
    case 'legacy':
      return legacyCallers(target, count);
    case 'sessionless':
      return sessionlessCallers(target, count);
    case 'session':
    case 'session-with-stream':
      return sessionCallers(target, count, way === 'session-with-stream');
    case 'modern':
    case 'modern-elicitation':
      return modernCallers(target, count, way === 'modern-elicitation');
    case 'rounds':
      return roundsCallers(target, count);
    case 'churn':
      return churnCallers(target, count);
    case 'idle':
      return idleSessions(target, count);
  }
}

// oxlint-disable-next-line consistent-return -- as above
async function obey(command: Command): Promise<LoadFigures | undefined> {
  switch (command.do) {
    case 'open':
      crew = await open(command);
      return undefined;
    case 'run': {
      const { shape, seconds, rate } = command;
      const misrouted = crew.misrouted();
      const tally = await (rate === undefined
        ? runLoad(crew.callers, shape, seconds)
        : runOpenLoop(crew.callers, shape, seconds, rate));
      return tally.figures(crew.misrouted() - misrouted);
    }
    case 'close': {
      const ending = crew;
      crew = NOBODY;
      await ending.close();
      return undefined;
    }
  }
}

function reply(message: Reply): void {
  process.send?.(message);
}

process.on('message', (command: Command) => {
  obey(command).then(
    (figures) => reply(figures === undefined ? {} : { figures }),
    (error: unknown) => reply({ failed: error instanceof Error ? error.message : String(error) }),
  );
});
endWithParent();
reply({});
