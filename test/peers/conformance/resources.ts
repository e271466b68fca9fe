// The resources that the conformance suite reads by URI: text, bytes, one to subscribe to, and a template. None of them ever
// changes, so a subscription is accepted and never heard of again.
import { refusal, resourceNotFound } from './refusal.ts';
import { png } from './samples.ts';

interface Resource {
  readonly uri: string;
  readonly name: string;
  readonly mimeType: string;
  readonly content: { readonly text: string } | { readonly blob: string };
}

const resources: readonly Resource[] = [
  { uri: 'test://static-text', name: 'text', mimeType: 'text/plain', content: { text: 'It never changes.' } },
  { uri: 'test://static-binary', name: 'bytes', mimeType: png.mimeType, content: { blob: png.data } },
  { uri: 'test://watched-resource', name: 'watched', mimeType: 'text/plain', content: { text: 'Nothing to see.' } },
];

const templatedUri = /^test:\/\/template\/([^/]+)\/data$/;

export function listResources(): object {
  return { resources: resources.map(({ uri, name, mimeType }) => ({ uri, name, mimeType })) };
}

export function listResourceTemplates(): object {
  const mimeType = 'application/json';
  return { resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'by id', mimeType }] };
}

export function readResource(uri: string): object {
  const { mimeType, content } = resourceAt(uri);
  return { contents: [{ uri, mimeType, ...content }] };
}

export function subscribe(uri: string): object {
  resourceAt(uri);
  return {};
}

function resourceAt(uri: string): Resource {
  const found = resources.find((resource) => resource.uri === uri) ?? templated(uri);
  if (found === undefined) throw refusal(resourceNotFound, `There is no resource ${uri}.`);
  return found;
}

function templated(uri: string): Resource | undefined {
  const id = templatedUri.exec(uri)?.[1];
  if (id === undefined) return undefined;
  return { uri, name: id, mimeType: 'application/json', content: { text: JSON.stringify({ id }) } };
}
