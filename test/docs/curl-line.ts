// A curl line of the docs as a request, so that it can be sent where there is no curl.

export interface CurlRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export function curlRequest(words: readonly string[]): CurlRequest {
  const [curl, ...rest] = words;
  if (curl !== 'curl') throw new Error(`not curl: ${words.join(' ')}`);
  const headers: Record<string, string> = { accept: '*/*' };
  const urls: string[] = [];
  let body: string | undefined;
  let given: string | undefined;
  while (rest.length > 0) {
    const word = rest.shift() ?? '';
    // Silent, with headers in the output: nothing that is sent.
    if (/^-[si]+$/.test(word)) continue;
    if (word === '-H') {
      const [, name = '', value = ''] = /^([\w-]+): (.+)$/.exec(rest.shift() ?? '') ?? [];
      headers[name] = value;
    } else if (word === '-d') body = rest.shift();
    else if (word === '-X') given = rest.shift();
    else if (/^https?:/.test(word)) urls.push(word);
    else throw new Error(`curl ${word}: not known here`);
  }
  const [url] = urls;
  if (url === undefined || urls.length > 1 || '' in headers) throw new Error(`not understood: ${words.join(' ')}`);
  // What curl itself says of a body that is text.
  if (body !== undefined) headers['content-type'] ??= 'application/x-www-form-urlencoded';
  return { url, method: given ?? (body === undefined ? 'GET' : 'POST'), headers, body };
}
