// The command line: picks the verb and the exit code. What a verb needs is loaded when it is picked: healthcheck runs every
// few seconds for years.

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { FILE_VARIABLE } from './config/assignments.ts';
import { urlFault, urlsIn } from './config/http-url.ts';
import { ConfigError, type Given, readConfig } from './config/load.ts';
import { printable } from './config/printable.ts';
import { durations } from './config/quantities.ts';
import type { Config } from './config/schema.ts';
import { withoutLastBreak } from './config/substitution.ts';
import { whereOf } from './observe/journal.ts';
import { stopSignal } from './stop-signal.ts';
import {
  type Parsed,
  commandFault,
  configFlags,
  usageError,
  withConfigFlags,
  withFileFlag,
  withServerFlags,
} from './verbs/flags.ts';
import { THIS_MACHINE } from './verbs/surroundings.ts';
import { VERSION, versionText } from './verbs/version.ts';

/** A Secret that was made from a file ends with its line break. */
const namedFile = withoutLastBreak(THIS_MACHINE.env[FILE_VARIABLE] ?? '');

const EXIT = { runtime: 1, usage: 2, configuration: 3, upstream: 4 } as const;

const { stdout, stderr, env } = THIS_MACHINE;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  stderr.write(`warning: Node ${process.versions.node} is older than 22.12, which mcp-causeway is made for\n`);
}

const DEFAULT_PROBE_MS = 30_000;
/** Somebody waits for it; servers that show their life do so every second to every minute. */
const DEFAULT_LISTEN_MS = 3000;
const DEFAULT_DOCTOR_MS = 10_000;

class UsageError extends Error {}

const program = new Command('mcp-causeway')
  .description('Puts an MCP server that speaks only the old HTTP+SSE transport behind a Streamable HTTP endpoint.')
  .version(VERSION)
  .enablePositionalOptions()
  .helpCommand(true)
  .addHelpText(
    'after',
    '\nEvery key of the configuration is a flag and a variable too, such as --timeouts-request 2m and\n' +
      'CAUSEWAY_TIMEOUTS_REQUEST=2m: see docs/configuration.md. Flags beat variables, variables beat the file.',
  );
/** The one that was picked: whose flags a suggestion may come from. */
let picked = program;
/** What a signal ends in order. */
const SERVING: readonly string[] = ['mcp-causeway', 'serve', 'demo'];
program.hook('preAction', (_, command) => {
  if (!SERVING.includes(command.name())) stopSignal.ignore();
  else if (command.name() === 'demo') stopSignal.ignoreHangUp();
});
program.hook('preSubcommand', (_, command) => {
  picked = command;
});

withConfigFlags(program)
  .argument('[url]', 'the event stream of the server, such as http://old:9001/sse')
  .action(async (url: string | undefined, parsed: Parsed) => {
    if (url === undefined && !env['CAUSEWAY_UPSTREAM'] && namedFile === '') program.help({ error: true });
    await serve(given(parsed, url));
  });

withFileFlag(withConfigFlags(program.command('serve')))
  .description('serve what a configuration file describes')
  .action(async (parsed: Parsed) => {
    const what = given(parsed);
    if (what.file === undefined && what.flags?.['upstream'] === undefined && !env['CAUSEWAY_UPSTREAM']) {
      throw new UsageError(`nothing to serve: name a file with -c, --config FILE or ${FILE_VARIABLE}`);
    }
    await serve(what);
  });

withConfigFlags(program.command('demo'))
  .description('a built-in legacy server, the gateway before it, and one call through both')
  .option('--once', 'end after the call')
  .action(async (parsed: Parsed) => {
    const { invitation, runDemo } = await import('./verbs/demo/demo.ts');
    const demo = await runDemo(configFlags(parsed), THIS_MACHINE, (text) => stdout.write(text));
    if (parsed['once'] !== true) {
      stdout.write(invitation(demo));
      await stopSignal.asked;
    }
    await demo.close();
  });

withFileFlag(withConfigFlags(program.command('check')))
  .description('say what is wrong with a configuration, all at once')
  .option('--json', 'the result as JSON')
  .option('--print-effective', 'print every value in effect, secrets left out')
  .action(async (parsed: Parsed) => {
    const what = given(parsed);
    if (what.file === undefined && what.flags?.['upstream'] === undefined && !env['CAUSEWAY_UPSTREAM']) {
      throw new UsageError(`nothing to check: name a file with -c, --config FILE or ${FILE_VARIABLE}`);
    }
    const { check } = await import('./verbs/check.ts');
    const options = { json: parsed['json'] === true, printEffective: parsed['printEffective'] === true };
    if (!check(what, options, THIS_MACHINE)) process.exitCode = EXIT.configuration;
  });

withServerFlags(program.command('probe'))
  .description('say what is at a URL, why it cannot be used if it cannot, and what to do next')
  .argument('<url>', 'as the gateway would be given it, such as http://old:9001/sse')
  .addOption(new Option('--json', 'the result as JSON (config/probe.schema.json)').conflicts('yaml'))
  .addOption(new Option('--yaml', 'the configuration that fits, as a file for serve'))
  .option('--second-connection', 'open a second one too, and tell what that does to the first: it can end a server')
  .addOption(
    new Option('--timeout <DURATION>', 'how long all of it may take')
      .default(DEFAULT_PROBE_MS, '30s')
      .argParser(durationOf),
  )
  .addOption(
    new Option('--listen-for <DURATION>', 'how long an idle stream is listened to, for its heartbeat')
      .default(DEFAULT_LISTEN_MS, '3s')
      .argParser(durationOf),
  )
  .addHelpText(
    'after',
    '\nExamples:\n' +
      '  mcp-causeway probe http://old:9001/sse\n' +
      "  mcp-causeway probe https://old.example.com/sse --header 'authorization=${TOKEN}' --tls-ca ca.pem\n" +
      '  mcp-causeway probe http://old:9001/sse --yaml > proxy.yaml && mcp-causeway serve -c proxy.yaml\n' +
      '  mcp-causeway probe http://old:9001/sse --json --timeout 10s\n' +
      '\nExit code: 0 usable, 4 not; no tool is called, and what was opened is closed. See docs/probe.md.',
  )
  .action(async (url: string, parsed: Parsed) => {
    refuseWord(url, 'probe');
    if (urlsIn(url).length > 1) throw new UsageError('too many URLs: give one');
    const { runProbe } = await import('./verbs/probe.ts');
    const verb = {
      url: url.trim(),
      flags: configFlags(parsed),
      output: parsed['json'] === true ? 'json' : parsed['yaml'] === true ? 'yaml' : 'text',
      secondConnection: parsed['secondConnection'] === true,
      // What durationOf has read.
      timeoutMs: parsed['timeout'] as number,
      listenMs: parsed['listenFor'] as number,
    } as const;
    const isUsable = await runProbe(verb, THIS_MACHINE);
    // A name that is still being looked up would keep the process for as long as the system takes over it.
    stdout.write('', () => process.exit(isUsable ? process.exitCode : EXIT.upstream));
  });

withFileFlag(withConfigFlags(program.command('doctor')))
  .description(
    'look at this machine, the names, certificates, issuers and servers of a configuration: would it work here?',
  )
  .argument('[url]', 'of a server, where there is no file')
  .option('--json', 'the result as JSON')
  .option('--strict', 'warnings fail too')
  .addOption(
    new Option('--timeout <DURATION>', 'for all that is asked of others')
      .default(DEFAULT_DOCTOR_MS, '10s')
      .argParser(durationOf),
  )
  .action(async (url: string | undefined, parsed: Parsed) => {
    const what = given(parsed, url, 'doctor');
    if (what.file === undefined && what.flags?.['upstream'] === undefined && !env['CAUSEWAY_UPSTREAM']) {
      throw new UsageError(`nothing to look at: give a URL, or a file with -c, --config FILE or ${FILE_VARIABLE}`);
    }
    // What durationOf has read.
    const timeoutMs = parsed['timeout'] as number;
    const { doctor } = await import('./verbs/doctor.ts');
    const result = await doctor(what, { json: parsed['json'] === true, timeoutMs }, THIS_MACHINE);
    const isFailed = result === 'failed' || (result === 'warnings' && parsed['strict'] === true);
    process.exitCode = result === 'invalid' ? EXIT.configuration : isFailed ? EXIT.runtime : 0;
    // A name that nobody answers for would be waited for long after its time was up.
    stdout.write('', () => setImmediate(() => process.exit()));
  });

withFileFlag(withConfigFlags(program.command('healthcheck')))
  .description('ask the gateway on this machine whether it lives: exit code 0 or 1')
  .action(async (parsed: Parsed) => {
    const { healthcheck } = await import('./verbs/healthcheck.ts');
    if (!(await healthcheck(healthConfig(parsed), THIS_MACHINE))) process.exitCode = EXIT.runtime;
  });

program
  .command('version')
  .description('print the version')
  .option('--json', 'as JSON')
  .action((parsed: Parsed) => {
    stdout.write(`${versionText(parsed['json'] === true)}\n`);
  });

// Commander's own words are printed below, with the nearest that could have been meant.
for (const command of [program, ...program.commands]) {
  command
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => {} });
}

/** `verb`: that takes a file. */
function given(parsed: Parsed, url?: string, verb = 'serve'): Given {
  const file = parsed['config'] ?? namedFile;
  if (url !== undefined) refuseWord(url, verb);
  const flags = { ...configFlags(parsed), ...(url !== undefined && { upstream: url }) };
  return { flags, ...(typeof file === 'string' && file !== '' && { file }) };
}

function durationOf(text: string): number {
  const duration = durations(10);
  if (new RegExp(duration.pattern).test(text)) return duration.parse(text);
  throw new InvalidArgumentError(duration.explain(text));
}

function refuseWord(url: string, verb: string): void {
  const fault = verb === 'serve' ? commandFault(url) : null;
  if (fault !== null) throw new UsageError(fault);
  if (/^[^:]+\.(?:ya?ml|json)$/i.test(url)) {
    if (verb === 'probe')
      throw new UsageError(`${url} looks like a file, and probe looks at a URL: mcp-causeway doctor -c ${url}`);
    throw new UsageError(
      `${url} looks like a file, not like a URL: a file is ${verb === 'serve' ? 'served with' : 'named with'} mcp-causeway ${verb} -c ${url}`,
    );
  }
  for (const each of urlsIn(url)) {
    const why = urlFault(each);
    if (why !== null) throw new ConfigError(`the URL ${why}`);
  }
}

/** Commander would print the whole help instead. */
function refuseHelpOf(word: string | undefined): void {
  const fault = process.argv[2] === 'help' && word !== undefined ? commandFault(word) : null;
  if (fault !== null) throw new UsageError(fault);
}

/** The address is all that counts: a container that names its server otherwise is healthy too. */
function healthConfig(parsed: Parsed): Config {
  const what = given(parsed);
  const hasUpstream = what.file !== undefined || env['CAUSEWAY_UPSTREAM'] || what.flags?.['upstream'] !== undefined;
  return readConfig(
    hasUpstream ? what : { ...what, flags: { ...what.flags, upstream: 'http://unused/' } },
    THIS_MACHINE,
  );
}

async function serve(what: Given): Promise<void> {
  const verb = await import('./verbs/serve.ts');
  await verb.serve(what, THIS_MACHINE, stopSignal);
}

/** Whoever read it has left, which is no failure of ours; a result that cannot be written is one. */
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  stderr.write(`the result cannot be written: ${error.code ?? error.message}\n`);
  process.exitCode = EXIT.runtime;
});
// Nobody is left to tell, and that is no reason to stop serving.
stderr.on('error', () => {});

// Node would show whatever the error holds, and the line of the program that threw it.
process.on('uncaughtException', (error: unknown) => {
  stderr.write(`${error instanceof Error ? whereOf(error) : typeof error}\n`);
  process.exit(EXIT.runtime);
});

try {
  refuseHelpOf(process.argv[3]);
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    const isSaid = error.code === 'commander.help' || error.exitCode === 0;
    if (!isSaid) stderr.write(`${printable(usageError(error, picked, process.argv))}\n`);
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
  } else if (error instanceof UsageError) {
    stderr.write(`${printable(error.message)}\n`);
    process.exitCode = EXIT.usage;
  } else if (error instanceof ConfigError) {
    stderr.write(`${error.message}\n`);
    process.exitCode = EXIT.configuration;
  } else {
    stderr.write(`${error instanceof Error ? whereOf(error) : typeof error}\n`);
    process.exitCode = EXIT.runtime;
  }
}
