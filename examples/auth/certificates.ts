import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A key, and a certificate for it, as grpc-js takes them. */
export interface Identity {
  readonly key: Buffer;
  readonly certificate: Buffer;
}

/** Signs certificates that nobody else trusts. */
export interface Authority {
  readonly certificate: Buffer;
  /** Of a client by its name, or of a server by that of its host. */
  identity(name: string): Identity;
}

/**
 * An authority for as long as this process runs: no key lies in the repository, none is left on the disk, and nothing
 * is to be installed. Node makes keys and signatures, and no certificates, so their few bytes are put together here. A
 * server in production has its certificates from its platform.
 */
export function authority(): Authority {
  const keys = newKeys();
  const issuer = 'authority of the example';
  const { certificate } = certified(issuer, keys, issuer, keys, [isAuthority]);
  return {
    certificate,
    identity(name) {
      return certified(name, newKeys(), issuer, keys, [named(name)]);
    },
  };
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

// DER: a type, a length and what it has.
function der(type: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([type, ...(length < 0x80 ? [length] : long)]), content]);
}

const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const oid = (...bytes: number[]) => der(0x06, Buffer.from(bytes));
const bits = (bytes: Uint8Array) => der(0x03, Buffer.from([0]), bytes);
const date = (year: number) => der(0x18, Buffer.from(`${year}0101000000Z`));
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const commonName = (name: string) =>
  sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))));

/** The extension basicConstraints. */
const isAuthority = sequence(oid(0x55, 0x1d, 0x13), TRUE, der(0x04, sequence(TRUE)));
/** The extension subjectAltName. */
const named = (name: string) =>
  sequence(oid(0x55, 0x1d, 0x11), der(0x04, sequence(der(0x82, Buffer.from(name)))));

function certified(
  name: string,
  keys: KeyObject,
  issuer: string,
  issuerKeys: KeyObject,
  more: Buffer[],
): Identity {
  const serial = randomBytes(16);
  serial[0] = 0x40; // neither negative, nor with zeros in front
  const about = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, serial),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(date(2020), date(2120)),
    commonName(name),
    createPublicKey(keys).export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...more)),
  );
  const signed = sequence(about, ecdsaWithSha256, bits(sign('sha256', about, issuerKeys)));
  return {
    key: Buffer.from(keys.export({ type: 'pkcs8', format: 'pem' })),
    certificate: Buffer.from(
      `-----BEGIN CERTIFICATE-----\n${signed.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    ),
  };
}
