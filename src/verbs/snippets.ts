// How clients are told of an endpoint, ready to be pasted.

export interface Snippet {
  readonly client: string;
  readonly text: string;
}

export interface SnippetOptions {
  readonly endpoint: string;
  /** What the client will call it. */
  readonly name: string;
  readonly mode: 'auto' | 'stateless' | 'session';
  /** What callers need. Clients get a token by themselves, from whom the endpoint names; curl does not. */
  readonly needs: 'nothing' | 'key' | 'token';
}

const KEY = 'Bearer YOUR_KEY';
const TOKEN = 'Bearer YOUR_TOKEN';

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
/** What an endpoint answers that serves sessions only. */
export const INITIALIZE =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}';

export function snippets({ endpoint, name, mode, needs }: SnippetOptions): Snippet[] {
  const needsKey = needs === 'key';
  const headers = needsKey ? { headers: { Authorization: KEY } } : {};
  const json = (value: object): string => JSON.stringify(value);
  // It takes plain http from this machine only, unless told; and clients on Windows break arguments that hold a blank.
  const { protocol, hostname } = new URL(endpoint);
  const isTaken = protocol === 'https:' || ['localhost', '127.0.0.1'].includes(hostname);
  const remote = [
    '-y',
    'mcp-remote',
    endpoint,
    ...(isTaken ? [] : ['--allow-http']),
    // oxlint-disable-next-line no-template-curly-in-string -- the client puts it in
    ...(needsKey ? ['--header', 'Authorization:${AUTH_HEADER}'] : []),
  ];
  const env = needsKey ? { env: { AUTH_HEADER: KEY } } : {};
  const init = needsKey ? `, { requestInit: { headers: { Authorization: '${KEY}' } } }` : '';
  return [
    {
      client: 'Claude Code',
      text: `claude mcp add --transport http ${name} ${endpoint}${needsKey ? ` --header 'Authorization: ${KEY}'` : ''}`,
    },
    {
      client: 'Claude Desktop (claude_desktop_config.json)',
      text: json({ mcpServers: { [name]: { command: 'npx', args: remote, ...env } } }),
    },
    { client: 'Cursor (.cursor/mcp.json)', text: json({ mcpServers: { [name]: { url: endpoint, ...headers } } }) },
    {
      client: 'VS Code (.vscode/mcp.json)',
      text: json({ servers: { [name]: { type: 'http', url: endpoint, ...headers } } }),
    },
    {
      client: 'TypeScript SDK',
      text: `await client.connect(new StreamableHTTPClientTransport(new URL('${endpoint}')${init}))`,
    },
    { client: 'curl', text: curlLine(endpoint, mode === 'session' ? INITIALIZE : LIST, needs) },
  ];
}

export function curlLine(endpoint: string, body: string, needs: SnippetOptions['needs'] = 'nothing'): string {
  const key = needs === 'nothing' ? '' : ` -H 'authorization: ${needs === 'key' ? KEY : TOKEN}'`;
  return `curl -s ${endpoint} -H 'content-type: application/json'${key} -d '${body}'`;
}
