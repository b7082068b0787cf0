#include "tls_server_cert.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define DAY 86400L

static int add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok ? 0 : -1;
}

/* Not signed yet. `issuer` NULL: its own issuer. */
static X509 *certificate(EVP_PKEY *key, const char *name, X509 *issuer, long until_s)
{
    X509 *x = X509_new();
    unsigned serial = 1;
    if (!x || RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
        return x;
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)(serial >> 1) + 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -10 * DAY);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    X509_set_pubkey(x, key);
    return x;
}

static int pin_of(EVP_PKEY *key, char ret_pin[64])
{
    unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH];
    int len = i2d_PUBKEY(key, &der);
    if (len <= 0)
        return -1;
    SHA256(der, (size_t)len, hash);
    OPENSSL_free(der);
    strcpy(ret_pin, "sha256//");
    EVP_EncodeBlock((unsigned char *)ret_pin + strlen(ret_pin), hash, sizeof(hash));
    return 0;
}

static int write_pem(const char *path, X509 *x)
{
    FILE *file = fopen(path, "we");
    int ok = file && PEM_write_X509(file, x);
    return file && fclose(file) == 0 && ok ? 0 : -1;
}

int tls_server_certify(SSL_CTX *ctx, enum tls_cert cert, const char *ca_file, char ret_pin[64])
{
    const char *names = cert == TLS_CERT_WRONG_NAME ? "DNS:other.invalid" : "IP:127.0.0.1,DNS:localhost";
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = ca_key ? certificate(ca_key, "test CA", NULL, DAY) : NULL;
    X509 *leaf =
        key && ca ? certificate(key, "test server", ca, cert == TLS_CERT_EXPIRED ? -DAY : DAY) : NULL;
    int ok =
        leaf && add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE") == 0 &&
        add_extension(ca, ca, NID_key_usage, "critical,keyCertSign") == 0 &&
        X509_sign(ca, ca_key, EVP_sha256()) && add_extension(leaf, ca, NID_subject_alt_name, names) == 0 &&
        X509_sign(leaf, ca_key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, leaf) == 1 &&
        SSL_CTX_use_PrivateKey(ctx, key) == 1 && write_pem(ca_file, ca) == 0 && pin_of(key, ret_pin) == 0;
    X509_free(leaf);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return ok ? 0 : -1;
}
