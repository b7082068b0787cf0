#include "io/http_tls.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/settings.h"

#define CA_KEPT_S 20L /* less than the wait after a certificate was refused */

/* ---- what errors mean ---- */

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

/* ---- what is set ---- */

/* The file with the system's CAs that curl knows by itself; there is a folder with the same ones beside it.
 */
static bool system_bundle_readable(void)
{
    const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
    return bundle && access(bundle, R_OK) == 0;
}

static void set_tls(CURL *easy, const struct server_settings *s)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2); /* or newer */
    bool check = s->verify && (s->ca_file || !s->pin); /* a pin without a CA decides alone */
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, check ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, check ? 2L : 0L);
    if (s->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, s->ca_file);
    if (s->ca_file || system_bundle_readable())
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* else all of it is parsed for every connection */
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_KEPT_S); /* curl itself keeps it for a day */
    if (s->pin)
        curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, s->pin);
}

void http_set_server(CURL *easy, const struct server_settings *s)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "jobclone/" JOBCLONE_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)s->request_ms);
    set_tls(easy, s);
}
