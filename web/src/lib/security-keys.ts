/** Security keys in the browser: the API speaks JSON, `navigator.credentials` speaks bytes. */

interface Descriptor {
  id: string;
  type: 'public-key';
  transports?: AuthenticatorTransport[];
}

interface CreationJson {
  rp: PublicKeyCredentialRpEntity;
  user: { id: string; name: string; displayName: string };
  challenge: string;
  pubKeyCredParams: PublicKeyCredentialParameters[];
  timeout?: number;
  excludeCredentials?: Descriptor[];
  authenticatorSelection?: AuthenticatorSelectionCriteria;
  attestation?: AttestationConveyancePreference;
}

interface RequestJson {
  challenge: string;
  rpId: string;
  timeout?: number;
  allowCredentials?: Descriptor[];
  userVerification?: UserVerificationRequirement;
}

/** Whether keys can work here at all: they want a secure page and a host that has a name. */
export function keysWork(where: Location = location): boolean {
  const named = !/^[\d.]+$|^\[/.test(where.hostname);
  return named && globalThis.isSecureContext && 'PublicKeyCredential' in globalThis;
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0));
}

export function toText(bytes: ArrayBuffer): string {
  const plain = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function descriptors(list: Descriptor[] = []): PublicKeyCredentialDescriptor[] {
  return list.map((one) => ({ ...one, id: toBytes(one.id) }));
}

/** Registers a key; null if the person or the key did not want to. */
export async function registerKey(asked: object): Promise<object | null> {
  const json = asked as CreationJson;
  const made = await asking(() =>
    navigator.credentials.create({
      publicKey: {
        ...json,
        challenge: toBytes(json.challenge),
        user: { ...json.user, id: toBytes(json.user.id) },
        excludeCredentials: descriptors(json.excludeCredentials),
      },
    }),
  );
  if (!made) return null;
  const response = made.response as AuthenticatorAttestationResponse;
  return {
    ...common(made),
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      attestationObject: toText(response.attestationObject),
      transports: response.getTransports(),
    },
  };
}

/** Has a key sign; null if the person or the key did not want to. */
export async function useKey(asked: object): Promise<object | null> {
  const json = asked as RequestJson;
  const found = await asking(() =>
    navigator.credentials.get({
      publicKey: {
        ...json,
        challenge: toBytes(json.challenge),
        allowCredentials: descriptors(json.allowCredentials),
      },
    }),
  );
  if (!found) return null;
  const response = found.response as AuthenticatorAssertionResponse;
  return {
    ...common(found),
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
    },
  };
}

async function asking(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential | null> {
  try {
    return (await ask()) as PublicKeyCredential | null;
  } catch (error) {
    // What the browser throws when it is refused, interrupted, or knows the key already.
    if (error instanceof DOMException) return null;
    throw error;
  }
}

function common(credential: PublicKeyCredential) {
  const id = toText(credential.rawId);
  return { id, rawId: id, type: credential.type };
}
