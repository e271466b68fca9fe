// Where OAuth clients learn of whom they get a token: the documents of the resources that are served here.

import type { FastifyInstance } from 'fastify';
import { asProxyError } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
import type { Mount } from '../traffic/mount.ts';
import { refuse } from './error-reply.ts';

/** Rejects with a ProxyError where there is none to be had. */
export type MetadataDocument = () => string | Promise<string>;

/**
 * By their paths: the documents of an upstream that takes credentials of callers (outbound.forward), as those of the URLs
 * that they dial. None where nobody could get a token.
 */
export function forwardedMetadata(
  { path, passage, forwarding }: Mount,
  publicUrl: URL | undefined,
): [path: string, document: MetadataDocument][] {
  const served = [path, ...(passage === null ? [] : [passage.paths.sse])];
  return served.flatMap((each): [string, MetadataDocument][] => {
    const resource = forwarding?.resource(each, publicUrl) ?? null;
    return resource === null || forwarding === null
      ? []
      : [[resource.metadataPath, () => forwarding.metadata(resource)]];
  });
}

/** For everybody: clients look for them before they have a token. */
export function metadataRoutes(
  app: FastifyInstance,
  documents: ReadonlyMap<string, MetadataDocument>,
  journal: Journal,
): void {
  for (const [url, document] of documents) {
    app.route({
      method: ['GET', 'HEAD'],
      url,
      handler: async (_, reply) => {
        try {
          return await reply.type('application/json').send(await document());
        } catch (thrown) {
          return refuse(reply, journal, asProxyError(thrown));
        }
      },
    });
  }
}
