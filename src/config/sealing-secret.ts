// The secrets that tokens are sealed with: 32 random bytes as a text, and what is wrong with others, without repeating
// anything of them.

const BYTES = 32;
const HOW = 'such as `openssl rand -base64 32` prints';

/** Hexadecimal, base64 or base64url of 32 bytes. */
export const SEALING_SECRET = /^(?:[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?)$/;

/** What is wrong with a text as a secret; null: nothing. */
export function secretFault(text: string): string | null {
  if (SEALING_SECRET.test(text)) return weakness(secretBytes(text));
  if (text.trim() === '') return `is empty: it must be ${BYTES} random bytes, ${HOW}`;
  if (!/^[A-Za-z0-9+/_=-]+$/.test(text))
    return `holds a character of neither base64 nor hexadecimal: it must be ${BYTES} random bytes, ${HOW}`;
  return `is not of ${BYTES} bytes, but of ${secretBytes(text).length}: it must be ${BYTES} random ones, ${HOW}`;
}

export function secretBytes(text: string): Uint8Array {
  const isHexadecimal = /^(?:[0-9A-Fa-f]{2})+$/.test(text) && text.length !== 43 && text.length !== 44;
  return Uint8Array.from(Buffer.from(text, isHexadecimal ? 'hex' : 'base64'));
}

/** Fewer different bytes, or steps between them, random ones have once in 10^14 times. */
const FEW = 17;

function weakness(bytes: Uint8Array): string | null {
  const steps = bytes.map((byte, index) => byte - (bytes[index - 1] ?? 0));
  const isRegular = new Set(bytes).size < FEW || new Set(steps).size < FEW;
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  if (!isRegular && !isText) return null;
  return `is ${isText ? 'a text' : 'regular'}, and can be guessed: it must be ${BYTES} random bytes, ${HOW}`;
}
