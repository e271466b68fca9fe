#!/usr/bin/env node
// The process: picks the verb, and is the only place that exits.

import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from './config/load.ts';
import { invitation, runDemo } from './verbs/demo/demo.ts';
import { type ServeFlags, configFromFile, configFromUrl, greet, start, stopSignal } from './verbs/serve.ts';
import { VERSION } from './verbs/version.ts';

const EXIT = { runtime: 1, usage: 2, configuration: 3 } as const;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(`warning: Node ${process.versions.node} is older than 22.12, which mcp-causeway is made for\n`);
}

const program = new Command('mcp-causeway')
  .description('Puts an MCP server that speaks only the old HTTP+SSE transport behind a Streamable HTTP endpoint.')
  .version(VERSION)
  .exitOverride()
  .showSuggestionAfterError()
  .enablePositionalOptions();

function withServeFlags(command: Command): Command {
  return command
    .option('--listen <HOST:PORT>', 'where clients connect (default 127.0.0.1:8080)')
    .option('--single', 'one link for everything: for servers that survive one connection only')
    .addOption(
      new Option('--mode <MODE>', 'sessions and requests without one, or only one of the two').choices([
        'auto',
        'stateless',
        'session',
      ]),
    )
    .addOption(new Option('--log-format <FORMAT>', 'how the log is written').choices(['auto', 'json', 'pretty']))
    .addOption(new Option('--log-level <LEVEL>', 'how much is logged').choices(LOG_LEVELS));
}

withServeFlags(program)
  .argument('[url]', 'the event stream of the server, such as http://old:9001/sse')
  .action(async (url: string | undefined, flags: ServeFlags) => {
    if (url === undefined) program.help({ error: true });
    else await serve(configFromUrl(url, flags), url);
  });

withServeFlags(program.command('serve'))
  .description('serve what a configuration file describes')
  .requiredOption('-c, --config <FILE>', 'the configuration file')
  .action(async (flags: ServeFlags & { config: string }) => {
    const config = configFromFile(flags.config, flags);
    await serve(config, config.upstreams.map(({ url }) => url.href).join(', '));
  });

withServeFlags(program.command('demo'))
  .description('a built-in legacy server, the gateway before it, and one call through both')
  .option('--once', 'end after the call')
  .action(async (flags: ServeFlags & { once?: boolean }) => {
    const demo = await runDemo(flags, (text) => process.stdout.write(text));
    if (flags.once !== true) {
      process.stdout.write(invitation(demo.endpoint, flags.mode));
      await stopSignal((code) => process.exit(code));
    }
    await demo.close();
  });

program
  .command('version')
  .description('print the version')
  .action(() => {
    process.stdout.write(`${VERSION}\n`);
  });

async function serve(config: ReturnType<typeof configFromUrl>, upstream: string): Promise<void> {
  const running = await start(config);
  // Where the log is read by a machine, nothing else may be in it; the endpoint is in its first line.
  if (config.log.format !== 'json') greet(running.endpoint, redacted(upstream), config.upstreams[0]?.mode ?? 'auto');
  await stopSignal((code) => process.exit(code));
  await running.close();
}

/** A URL as it may be shown: credentials and query can be secrets. */
function redacted(text: string): string {
  return text.replaceAll(/\/\/[^/@\s]*@/g, '//***@').replaceAll(/\?[^\s,]*/g, '?***');
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
  } else if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT.configuration;
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = EXIT.runtime;
  }
}
