// Issuers, servers and replicas: what is asked of them, by whom it can be asked, each question once.

import type { Config, JwtConfig, UpstreamConfig } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import type { Clock, Timers } from '../domain/ports.ts';
import { resourcesOf } from '../identity/reception.ts';
import { UpstreamUrls } from '../traffic/upstream-urls.ts';
import { type Connector, connector } from '../upstream/connector.ts';
import { connectError } from '../upstream/network-error.ts';
import type { UpstreamUrl } from '../upstream/upstream-url.ts';
import { fewAtOnce } from './bounded.ts';
import { servedCertificate } from './certificate-facts.ts';
import { servedCertificateFinding } from './certificate-findings.ts';
import { type Reading, clockFindings } from './clock-findings.ts';
import { type Document, fetched } from './document-facts.ts';
import { issuerKeys } from './key-facts.ts';
import type { NameFacts } from './name-findings.ts';
import { issuerFinding, keysFinding, metadataFinding, metadataUrls } from './oauth-findings.ts';
import { lookAtPeers, lookAtStore } from './replicas.ts';
import type { Finding } from './report.ts';
import { type Diagnosis, type Opened, opened } from './upstream-facts.ts';
import { upstreamFinding } from './upstream-findings.ts';

/** Those that tokens are checked by, each once. */
export function jwtsOf(config: Config): JwtConfig[] {
  const jwts = config.upstreams.flatMap((upstream) => {
    const { inbound } = settingsOf(config, upstream);
    return inbound !== 'none' && 'jwt' in inbound ? [inbound.jwt] : [];
  });
  return [...new Map(jwts.map((jwt) => [JSON.stringify(jwt), jwt])).values()];
}

export interface Name {
  readonly facts: NameFacts;
  /** The gateway dials it, and not only its clients. */
  readonly isOurs: boolean;
}

export type Names = ReadonlyMap<string, Name>;

/** What goes for every question. */
export interface Around {
  readonly config: Config;
  readonly version: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly diagnosisOf: Diagnosis;
  /** A gateway, at the address of `listen`. */
  readonly isRunning: boolean;
  readonly names: Names;
  readonly signal: AbortSignal;
}

/** Servers that are opened at once. */
const AT_ONCE = 8;

interface Place {
  readonly upstream: UpstreamConfig;
  readonly url: UpstreamUrl;
}

export class Others {
  readonly #around: Around;
  readonly #readings = new Map<string, Reading>();

  constructor(around: Around) {
    this.#around = around;
  }

  async findings(): Promise<Finding[]> {
    const { config } = this.#around;
    const ofReplicas = lookAtPeers(this.#around);
    const found = await Promise.all([
      ofReplicas.then(({ findings }) => findings),
      lookAtStore(this.#around),
      ...jwtsOf(config).map((jwt) => this.#issuer(jwt)),
      this.#issuersCertificates(),
      ...config.upstreams.map((upstream) => this.#metadata(upstream)),
      this.#upstreams(),
    ]);
    const { readings } = await ofReplicas;
    return [...found.flat(), ...clockFindings([...this.#readings.values(), ...readings])];
  }

  async #issuer(jwt: JwtConfig): Promise<Finding[]> {
    const { issuer, jwksUri, jwksFile, algorithms, clockTolerance } = jwt;
    const answers = Promise.all(metadataUrls(issuer).map((url) => this.#document(url, clockTolerance)));
    const where = jwksUri?.href ?? jwksFile ?? '';
    const document = jwksUri === undefined ? null : await this.#document(jwksUri, clockTolerance);
    const ms = document?.state === 'answered' ? document.ms : undefined;
    return [issuerFinding(jwt, await answers), keysFinding(where, issuerKeys(document, jwksFile), algorithms, ms)];
  }

  async #issuersCertificates(): Promise<Finding[]> {
    const urls = jwtsOf(this.#around.config).flatMap(({ issuer, jwksUri }) => [
      new URL(issuer),
      ...(jwksUri === undefined ? [] : [jwksUri]),
    ]);
    const origins = new Map(urls.map((url) => [url.origin, url]));
    const refusal = (code: string): string =>
      `it is not accepted (${code}): what tokens are checked by comes from there; an authority of your own is named in NODE_EXTRA_CA_CERTS`;
    const found = await Promise.all(
      [...origins.values()].map((url) => this.#certificate(url.host, url, connector(0, undefined), refusal)),
    );
    return found.flat();
  }

  async #metadata(upstream: UpstreamConfig): Promise<Finding[]> {
    const { config, isRunning } = this.#around;
    const { inbound } = settingsOf(config, upstream);
    if (inbound === 'none' || !('jwt' in inbound)) return [];
    const { issuer } = inbound.jwt;
    return Promise.all(
      [...resourcesOf(config, upstream).values()].map(async ({ url: resource, metadataUrl }) => {
        const answer = isRunning ? await this.#document(new URL(metadataUrl), null) : null;
        return metadataFinding(upstream.name, { resource, metadataUrl, issuer }, answer);
      }),
    );
  }

  async #upstreams(): Promise<Finding[]> {
    const { config, clock } = this.#around;
    const places = config.upstreams.flatMap((upstream) => {
      const urls = new UpstreamUrls(upstream, clock, 0);
      return upstream.urls.flatMap((_, index): Place[] => {
        const url = urls.at(index);
        return url === null ? [] : [{ upstream, url }];
      });
    });
    return (await fewAtOnce(places, AT_ONCE, (place) => this.#upstream(place))).flat();
  }

  async #upstream({ upstream, url }: Place): Promise<Finding[]> {
    const { config, isRunning } = this.#around;
    const settings = settingsOf(config, upstream);
    const { sseUrl } = url.endpoint;
    const subject = upstream.urls.length === 1 ? upstream.name : `${upstream.name} ${sseUrl.origin}${sseUrl.pathname}`;
    const asked = { subject, isOfCallers: typeof upstream.outbound === 'object' };
    if (isRunning && settings.links.single === true) return [upstreamFinding(asked, { state: 'spared' })];
    if (!this.#isKnown(sseUrl)) {
      const why = 'its name does not resolve: see dns';
      return [upstreamFinding(asked, { state: 'failed', ms: 0, isRefusal: false, why })];
    }
    const how = connector(settings.timeouts.connect, upstream.tls);
    const refusal = (code: string): string => connectError(Object.assign(new Error(code), { code })).message;
    const [certificates, { facts, aheadMs }] = await Promise.all([
      this.#certificate(subject, sseUrl, how, refusal),
      this.#opened({ upstream, settings, url, connector: how }),
    ]);
    this.#read(sseUrl, aheadMs, null);
    return [...certificates, upstreamFinding(asked, facts)];
  }

  #opened(what: Pick<Parameters<typeof opened>[0], 'upstream' | 'settings' | 'url' | 'connector'>): Promise<Opened> {
    const { version, clock, timers, signal, diagnosisOf } = this.#around;
    return opened({ ...what, version, clock, timers, signal, diagnosisOf });
  }

  async #certificate(subject: string, url: URL, how: Connector, refusal: (code: string) => string): Promise<Finding[]> {
    if (url.protocol !== 'https:' || !this.#isKnown(url)) return [];
    const facts = await servedCertificate(url, how, this.#around.signal, refusal);
    return facts === null ? [] : [servedCertificateFinding(subject, facts, Date.now())];
  }

  async #document(url: URL, toleranceMs: number | null): Promise<Document> {
    if (!this.#isKnown(url)) return { state: 'failed', why: 'its name does not resolve', ms: 0 };
    const document = await fetched(url, this.#around.signal);
    if (toleranceMs !== null) this.#read(url, document.aheadMs ?? null, toleranceMs);
    return document;
  }

  #isKnown({ hostname }: URL): boolean {
    const facts = this.#around.names.get(hostname)?.facts;
    return facts === undefined || facts.state === 'resolved';
  }

  #read({ host: from }: URL, aheadMs: number | null, toleranceMs: number | null): void {
    if (aheadMs === null) return;
    // Of a host that is both, what tokens need counts.
    const before = this.#readings.get(from);
    if (before === undefined || before.toleranceMs === null) this.#readings.set(from, { from, toleranceMs, aheadMs });
  }
}
