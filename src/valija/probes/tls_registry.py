"""Numbers of TLS and their names, as far as a mail server meets them (IANA, "TLS Parameters")."""

from __future__ import annotations

SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
VERSIONS = {SSL3: "SSL 3.0", TLS10: "TLS 1.0", TLS11: "TLS 1.1", TLS12: "TLS 1.2", TLS13: "TLS 1.3"}

SUITES = {
    0x0001: "RSA_WITH_NULL_MD5",
    0x0002: "RSA_WITH_NULL_SHA",
    0x0003: "RSA_EXPORT_WITH_RC4_40_MD5",
    0x0004: "RSA_WITH_RC4_128_MD5",
    0x0005: "RSA_WITH_RC4_128_SHA",
    0x0008: "RSA_EXPORT_WITH_DES40_CBC_SHA",
    0x000A: "RSA_WITH_3DES_EDE_CBC_SHA",
    0x0014: "DHE_RSA_EXPORT_WITH_DES40_CBC_SHA",
    0x0016: "DHE_RSA_WITH_3DES_EDE_CBC_SHA",
    0x0018: "DH_anon_WITH_RC4_128_MD5",
    0x001B: "DH_anon_WITH_3DES_EDE_CBC_SHA",
    0x002F: "RSA_WITH_AES_128_CBC_SHA",
    0x0033: "DHE_RSA_WITH_AES_128_CBC_SHA",
    0x0034: "DH_anon_WITH_AES_128_CBC_SHA",
    0x0035: "RSA_WITH_AES_256_CBC_SHA",
    0x0039: "DHE_RSA_WITH_AES_256_CBC_SHA",
    0x003A: "DH_anon_WITH_AES_256_CBC_SHA",
    0x003B: "RSA_WITH_NULL_SHA256",
    0x003C: "RSA_WITH_AES_128_CBC_SHA256",
    0x003D: "RSA_WITH_AES_256_CBC_SHA256",
    0x0041: "RSA_WITH_CAMELLIA_128_CBC_SHA",
    0x0045: "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA",
    0x0067: "DHE_RSA_WITH_AES_128_CBC_SHA256",
    0x006B: "DHE_RSA_WITH_AES_256_CBC_SHA256",
    0x006D: "DH_anon_WITH_AES_256_CBC_SHA256",
    0x0084: "RSA_WITH_CAMELLIA_256_CBC_SHA",
    0x0088: "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA",
    0x009C: "RSA_WITH_AES_128_GCM_SHA256",
    0x009D: "RSA_WITH_AES_256_GCM_SHA384",
    0x009E: "DHE_RSA_WITH_AES_128_GCM_SHA256",
    0x009F: "DHE_RSA_WITH_AES_256_GCM_SHA384",
    0x00A6: "DH_anon_WITH_AES_128_GCM_SHA256",
    0x00A7: "DH_anon_WITH_AES_256_GCM_SHA384",
    0x1301: "AES_128_GCM_SHA256",
    0x1302: "AES_256_GCM_SHA384",
    0x1303: "CHACHA20_POLY1305_SHA256",
    0x1304: "AES_128_CCM_SHA256",
    0x1305: "AES_128_CCM_8_SHA256",
    0xC009: "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    0xC00A: "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    0xC011: "ECDHE_RSA_WITH_RC4_128_SHA",
    0xC012: "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    0xC013: "ECDHE_RSA_WITH_AES_128_CBC_SHA",
    0xC014: "ECDHE_RSA_WITH_AES_256_CBC_SHA",
    0xC018: "ECDH_anon_WITH_AES_128_CBC_SHA",
    0xC019: "ECDH_anon_WITH_AES_256_CBC_SHA",
    0xC023: "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    0xC024: "ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    0xC027: "ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    0xC028: "ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    0xC02B: "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    0xC02C: "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    0xC02F: "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    0xC030: "ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    0xC09C: "RSA_WITH_AES_128_CCM",
    0xC09D: "RSA_WITH_AES_256_CCM",
    0xC0AC: "ECDHE_ECDSA_WITH_AES_128_CCM",
    0xC0AD: "ECDHE_ECDSA_WITH_AES_256_CCM",
    0xCCA8: "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCCA9: "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCCAA: "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}

# No suites, but signals among them: that renegotiation is secure (RFC 5746), and that the client has come down a
# version because a higher one failed (RFC 7507).
EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV = 0x00FF, 0x5600

# Mozilla's "intermediate" of its Server Side TLS, version 5.7.
TLS13_SUITES = (0x1301, 0x1302, 0x1303)
INTERMEDIATE_SUITES = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0x009E, 0x009F, 0xCCAA)

# Every other number at which a suite of TLS 1.2 and before is registered.
OTHER_SUITES = tuple(
    suite
    for block in (range(0x0001, 0x00C8), range(0xC001, 0xC0B4), range(0xCCA8, 0xCCAF), range(0xD001, 0xD006))
    for suite in block
    if suite not in INTERMEDIATE_SUITES
)

P256, P384, P521, X25519, X448 = 0x0017, 0x0018, 0x0019, 0x001D, 0x001E
FFDHE2048, FFDHE3072, FFDHE4096 = 0x0100, 0x0101, 0x0102
X25519MLKEM768 = 0x11EC
GROUPS = {
    0x0013: "secp192r1",
    0x0015: "secp224r1",
    0x0016: "secp256k1",
    P256: "P-256",
    P384: "P-384",
    P521: "P-521",
    0x001A: "brainpoolP256r1",
    0x001B: "brainpoolP384r1",
    0x001C: "brainpoolP512r1",
    X25519: "X25519",
    X448: "X448",
    FFDHE2048: "ffdhe2048",
    FFDHE3072: "ffdhe3072",
    FFDHE4096: "ffdhe4096",
    X25519MLKEM768: "X25519MLKEM768",
}

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    47: "illegal_parameter",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    112: "unrecognized_name",
    116: "certificate_required",
    120: "no_application_protocol",
}

# Extensions.
SERVER_NAME, SUPPORTED_GROUPS, EC_POINT_FORMATS, SIGNATURE_ALGORITHMS, HEARTBEAT = 0, 10, 11, 13, 15
ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, SESSION_TICKET, EARLY_DATA = 22, 23, 35, 42
SUPPORTED_VERSIONS, KEY_SHARE, RENEGOTIATION_INFO = 43, 51, 0xFF01

# Every signature that a server may use, so that it never refuses for want of one: ECDSA, EdDSA, RSA-PSS, RSA, DSA.
SIGNATURES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808),
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),
    *(0x0401, 0x0501, 0x0601, 0x0301, 0x0201, 0x0203, 0x0202, 0x0402),
)


def suite_name(suite: int) -> str:
    """`TLS_` and the registered name, or the number of a suite that nobody should use."""
    return f"TLS_{SUITES[suite]}" if suite in SUITES else f"suite 0x{suite:04X}"
