// Certificates: those that our listeners show, and those that servers and issuers show us.

import { type Finding, failed, ok, warning } from './report.ts';

export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Of a file that a listener shows. */
export interface OwnCertificate extends Validity {
  /** Names and addresses that it is for, as text. */
  readonly names: string;
  /** A name that clients dial, and that it is not for. */
  readonly missing: string | null;
  /** Who stands at the end of what is in the file; missing: its issuer should, broken: one is not of the next. */
  readonly authority: 'public' | 'private' | 'itself' | 'missing' | 'broken';
}

/** What a server shows to us. */
export interface ServedCertificate {
  readonly validity: Validity | null;
  /** Why it would not be accepted, in words of ours with the next step; null: it would. */
  readonly refusal: string | null;
  /** That can be turned off. */
  readonly isChecked: boolean;
  /** Such as TLSv1.3. */
  readonly protocol: string | null;
}

const DAY_MS = 86_400_000;
const SOON_MS = 14 * DAY_MS;

/** Short-lived ones are renewed by machines, when two thirds of their time have passed at the latest. */
function isSoon({ fromMs, toMs }: Validity, nowMs: number): boolean {
  return toMs - nowMs < Math.min(SOON_MS, (toMs - fromMs) / 3);
}

export function ownCertificateFinding(subject: string, facts: OwnCertificate, nowMs: number): Finding {
  const { names, missing, authority } = facts;
  const dates = dateFinding(subject, facts, nowMs);
  if (dates !== null) return dates;
  const seen = `${expiry(facts, nowMs)}, for ${names}`;
  if (missing !== null) {
    const remedy = `clients that come by publicUrl refuse it, unless something in front shows another: issue it for ${missing}`;
    return warning('certificate', `${seen}, and not for ${missing}`, remedy, { subject });
  }
  const { said, remedy } = AUTHORITIES[authority];
  if (remedy !== null) return warning('certificate', `${seen}, ${said}`, remedy, { subject });
  return ok('certificate', said === '' ? seen : `${seen}, ${said}`, { subject });
}

const AUTHORITIES: Readonly<
  Record<OwnCertificate['authority'], { readonly said: string; readonly remedy: string | null }>
> = {
  public: { said: '', remedy: null },
  private: { said: 'of a private authority that clients must know', remedy: null },
  itself: { said: 'signed by nobody but itself', remedy: 'clients must be told to trust it' },
  missing: {
    said: 'without the one that it was issued by',
    remedy: 'put that into the file behind it (fullchain.pem): many clients do not look for it',
  },
  broken: {
    said: 'with others in its file that it was not issued by',
    remedy: 'put each behind the one that it has issued',
  },
};

/** Of a file that is for one server: ours, which is that server’s to judge, or an authority’s. */
export function fileCertificateFinding(subject: string, validity: Validity, nowMs: number): Finding {
  return dateFinding(subject, validity, nowMs) ?? ok('certificate', expiry(validity, nowMs), { subject });
}

export function servedCertificateFinding(subject: string, facts: ServedCertificate, nowMs: number): Finding {
  const { validity, refusal, isChecked, protocol } = facts;
  const parts = [...(validity === null ? [] : [expiry(validity, nowMs)]), ...(protocol === null ? [] : [protocol])];
  const seen = parts.join(', ');
  if (refusal !== null && isChecked) return failed('certificate', seen, refusal, { subject });
  if (refusal !== null) return warning('certificate', `${seen}, not checked`, refusal, { subject });
  const isLate = validity !== null && isSoon(validity, nowMs);
  if (isLate) return warning('certificate', seen, 'see that it is renewed in time', { subject });
  return ok('certificate', seen, { subject });
}

function dateFinding(subject: string, validity: Validity, nowMs: number): Finding | null {
  const { fromMs, toMs } = validity;
  const seen = expiry(validity, nowMs);
  if (toMs <= nowMs) return failed('certificate', seen, 'renew it', { subject });
  if (fromMs > nowMs)
    return failed('certificate', `is not valid before ${dateOf(fromMs)}`, 'compare the clocks', { subject });
  return isSoon(validity, nowMs) ? warning('certificate', seen, 'renew it', { subject }) : null;
}

function expiry({ toMs }: Validity, nowMs: number): string {
  if (toMs <= nowMs) return `expired on ${dateOf(toMs)}`;
  const days = Math.floor((toMs - nowMs) / DAY_MS);
  const left = days === 0 ? 'today or tomorrow' : `in ${days} ${days === 1 ? 'day' : 'days'}`;
  return `expires ${left} (${dateOf(toMs)})`;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
