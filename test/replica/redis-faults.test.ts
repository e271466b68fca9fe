import { expect, test } from 'vitest';
import { storeFault } from '../../src/replica/redis-faults.ts';

class Answered extends Error {
  override readonly name = 'ReplyError';
}

const coded = (code: string): Error => Object.assign(new Error('it failed'), { code });

test.each([
  ["OOM command not allowed when used memory > 'maxmemory'. script: 1c93", 'full'],
  ['ERR Error running script (call to f_1c93): @user_script: 8: OOM command not allowed', 'full'],
  ["READONLY You can't write against a read only replica.", 'read_only'],
  ['MISCONF Redis is configured to save RDB snapshots', 'read_only'],
  ['NOREPLICAS Not enough good replicas to write.', 'read_only'],
  ['NOAUTH Authentication required.', 'denied'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'denied'],
  ["NOPERM this user has no permissions to run the 'set' command", 'denied'],
  ['ERR invalid password', 'denied'],
  ['LOADING Redis is loading the dataset in memory', 'loading'],
  ['BUSY Redis is busy running a script.', 'loading'],
  ['ERR unknown command EVALSHA', 'error'],
  ['ERR value of OOMPH is out of range', 'error'],
])('an answer that says %s is %s', (answer, kind) => {
  expect(storeFault(new Answered(answer)).kind).toBe(kind);
});

test.each([
  ['that timed out', new Error('Command timed out'), null, 'slow'],
  [
    'without a connection',
    new Error("Stream isn't writeable and enableOfflineQueue options is false"),
    null,
    'unreachable',
  ],
  ['after a connection that was refused', new Error('Connection is closed.'), coded('ECONNREFUSED'), 'unreachable'],
  [
    'after a certificate that is not accepted',
    new Error('Connection is closed.'),
    coded('SELF_SIGNED_CERT_IN_CHAIN'),
    'untrusted',
  ],
  [
    'after a certificate for another host',
    new Error('Connection is closed.'),
    coded('ERR_TLS_CERT_ALTNAME_INVALID'),
    'untrusted',
  ],
  ['after a password that is wrong', new Error('Connection is closed.'), new Answered('WRONGPASS no'), 'denied'],
  ['that is a bug of ours', 'what', null, 'error'],
])('a failure %s is told by what came before it', (_what, thrown, earlier, kind) => {
  expect(storeFault(thrown, earlier).kind).toBe(kind);
});
