#include "io/http_tls.h"

#include <string.h>

#include "base/cleanup.h"

/* curl has one code for most of this; OpenSSL's words are all there is to go by.
 * `refused`: trying again changes nothing. */
static const struct tls_error {
    const char *words, *advice;
    bool refused;
} ERRORS[] = {
    {"unable to get local issuer certificate",
     "tls.ca_file must hold the certificate of the CA that signed the server's", true},
    {"self-signed certificate",
     "tls.ca_file must hold this certificate, or tls.pin its key, once you have made sure that it is genuine",
     true},
    {"certificate has expired", "renew the certificate of Enterprise Manager, or set this machine's clock",
     true},
    {"not yet valid", "set the clock of this machine or of Enterprise Manager", true},
    {"subject name matches", "url must use a name or address that the certificate holds", true},
    {"does not match target host name", "url must use a name or address that the certificate holds", true},
    {"pinned public key",
     "the server has another key than tls.pin: make sure that it is genuine before you change the pin", true},
    {"too weak", "the certificate must be made anew with a stronger key or signature", true},
    {"certificate purpose", "the certificate is not one for servers: make it anew", true},
    {"asn1 encoding routines",
     "a CA of the same name but another key signed it: tls.ca_file is that of another server, or an old one",
     true},
    {"wrong version number", "the port does not speak TLS: check the port in url (Enterprise Manager: 9398)",
     true},
    {"unsupported protocol", "the server offers no TLS 1.2 or newer: enable it there", true},
    {"protocol version", "the server offers no TLS 1.2 or newer: enable it there", true},
    {"alert handshake failure",
     "no cipher in common, or the server asks for a client certificate, which jobclone has not", true},
    {"certificate required", "the server asks for a client certificate, which jobclone has not", true},
    {"SSL_write", "the server ended TLS at once: does it ask for a client certificate?", false},
    {"SSL_ERROR_SYSCALL",
     "the connection ended within the TLS handshake: check url, firewalls and the server", false},
    {"unexpected eof", "the connection ended within the TLS handshake: check url, firewalls and the server",
     false},
    {"unexpected message", "what answers there does not speak TLS as it should: check the port in url",
     false},
    {"SSL connection timeout", "the TLS handshake was not answered: check url, firewalls and the server",
     false},
};

static const struct tls_error *find(const char *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(ERRORS); i++)
        if (strstr(error, ERRORS[i].words))
            return &ERRORS[i];
    return NULL;
}

bool http_tls_refused(CURLcode code, const char *error)
{
    const struct tls_error *known = find(error);
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_PINNEDPUBKEYNOTMATCH ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR ||
           code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_INVALIDCERTSTATUS ||
           (code == CURLE_SSL_CONNECT_ERROR && known && known->refused);
}

const char *http_tls_advice(const char *error)
{
    const struct tls_error *known = find(error);
    return known ? known->advice : "";
}
