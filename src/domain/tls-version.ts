// The oldest TLS that is spoken, by listeners and toward servers and issuers alike, whatever NODE_OPTIONS say.

/** [RFC 8996] TLS 1.0 and 1.1 "MUST NOT be used". */
export const MIN_TLS_VERSION = 'TLSv1.2';
