#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FILE_MAX (1024 * 1024)

static int write_all(int fd, const unsigned char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int write_file(const char *path, const gnutls_datum_t *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    int r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, text->data, text->size);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

/* Subject, validity and names; gnutls' negative code is passed on. */
static int fill(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
    static const unsigned char LOOPBACK[4] = {127, 0, 0, 1};
    static const char CN[] = "localhost";
    time_t now = time(NULL);
    unsigned char serial[8] = {1};
    for (size_t i = 1; i < sizeof(serial); i++)
        serial[i] = (unsigned char)((unsigned long long)now >> (8 * (i - 1)));
    int steps[] = {
        gnutls_x509_crt_set_version(cert, 3),
        gnutls_x509_crt_set_serial(cert, serial, sizeof(serial)),
        gnutls_x509_crt_set_activation_time(cert, now - 3600),
        gnutls_x509_crt_set_expiration_time(cert, now + 10L * 365 * 24 * 3600),
        gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, CN, sizeof(CN) - 1),
        gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, CN, sizeof(CN) - 1, GNUTLS_FSAN_SET),
        gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, LOOPBACK, sizeof(LOOPBACK),
                                             GNUTLS_FSAN_APPEND),
        gnutls_x509_crt_set_basic_constraints(cert, 1, -1),
        gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN),
        gnutls_x509_crt_set_key(cert, key),
        gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0),
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        if (steps[i] < 0)
            return steps[i];
    return 0;
}

static int save(const char *cert_path, const char *key_path, gnutls_x509_crt_t cert,
                gnutls_x509_privkey_t key)
{
    gnutls_datum_t cert_text = {0}, key_text = {0};
    int r = -EIO;
    if (gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &cert_text) >= 0 &&
        gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_text) >= 0) {
        r = write_file(key_path, &key_text, 0600);
        if (r == 0)
            r = write_file(cert_path, &cert_text, 0644);
    }
    gnutls_free(cert_text.data);
    gnutls_free(key_text.data);
    return r;
}

static int make(const char *cert_path, const char *key_path)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t cert = NULL;
    int r = -EIO;
    if (gnutls_x509_privkey_init(&key) >= 0 && gnutls_x509_crt_init(&cert) >= 0 &&
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                     0) >= 0 &&
        fill(cert, key) >= 0)
        r = save(cert_path, key_path, cert, key);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
    return r;
}

int tls_self_signed(const char *dir)
{
    _cleanup_free_ char *cert = NULL, *key = NULL;
    if (asprintf(&cert, "%s/cert.pem", dir) < 0) {
        cert = NULL;
        return -ENOMEM;
    }
    if (asprintf(&key, "%s/key.pem", dir) < 0) {
        key = NULL;
        return -ENOMEM;
    }
    if (access(cert, R_OK) == 0 && access(key, R_OK) == 0)
        return 0;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return -errno;
    return make(cert, key);
}

int tls_read_file(const char *path, char **ret_text)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    char *text = calloc(1, FILE_MAX + 1);
    size_t len = text ? fread(text, 1, FILE_MAX, file) : 0;
    int r = !text ? -ENOMEM : ferror(file) ? -EIO : len == FILE_MAX ? -EFBIG : 0;
    fclose(file);
    if (r < 0)
        free(text);
    else
        *ret_text = text;
    return r;
}
