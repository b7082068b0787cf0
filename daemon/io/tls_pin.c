#include "io/tls_pin.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define SHA256_LEN 32

int tls_pin_of_pem(const char *pem, char ret[TLS_PIN_LEN + 1])
{
    unsigned char *key = NULL, digest[SHA256_LEN];
    char base64[4 * ((SHA256_LEN + 2) / 3) + 1];
    BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int len = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key) : 0;
    int r = len > 0 && EVP_Digest(key, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EINVAL;
    if (r == 0) {
        EVP_EncodeBlock((unsigned char *)base64, digest, SHA256_LEN);
        snprintf(ret, TLS_PIN_LEN + 1, "sha256//%s", base64);
    }
    OPENSSL_free(key);
    X509_free(certificate);
    BIO_free(bio);
    return r;
}
