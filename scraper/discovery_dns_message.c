/* The answer section of a DNS message (RFC 1035 4.1, RFC 2782). */
#include <ares.h>
#include <arpa/inet.h>

#include "discovery_dns.h"

enum { HEADER_BYTES = 12, QUESTION_BYTES = 4, RECORD_BYTES = 10 };

struct reader {
    const unsigned char *message;
    size_t size;
    size_t at;
};

static uint16_t get_u16(const unsigned char *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Reads a name that starts at `at`; appends it with a dot at its end and gives the bytes it took
 * there. */
static bool read_name(const struct reader *reader, size_t at, struct strbuf *out, size_t *took)
{
    char *name = NULL;
    long length = 0;
    if (at >= reader->size || ares_expand_name(reader->message + at, reader->message,
                                               (int)reader->size, &name, &length) != ARES_SUCCESS)
        return false;
    if (out != NULL) {
        strbuf_add_cstr(out, name);
        strbuf_add_char(out, '.');
    }
    ares_free_string(name);
    *took = (size_t)length;
    return true;
}

static bool skip_name(struct reader *reader, size_t more)
{
    size_t took;
    if (!read_name(reader, reader->at, NULL, &took))
        return false;
    reader->at += took;
    return reader->size - reader->at >= more;
}

/* The name that begins `skip` bytes into the record's data must end with it. */
static bool read_target(const struct reader *reader, size_t skip, size_t data_size,
                        struct strbuf *text)
{
    size_t took;
    return data_size > skip && read_name(reader, reader->at + skip, text, &took) &&
           skip + took == data_size;
}

static bool read_address(const struct reader *reader, int family, struct strbuf *text)
{
    char address[INET6_ADDRSTRLEN];
    if (inet_ntop(family, reader->message + reader->at, address, sizeof address) == NULL)
        return false;
    strbuf_add_cstr(text, address);
    return true;
}

/* *known tells whether the record is of a type that is wanted. */
static bool read_data(const struct reader *reader, size_t data_size, struct dns_record *record,
                      struct strbuf *text, bool *known)
{
    *known = true;
    switch (record->type) {
    case DNS_A:
        return data_size == 4 && read_address(reader, AF_INET, text);
    case DNS_AAAA:
        return data_size == 16 && read_address(reader, AF_INET6, text);
    case DNS_NS:
        return read_target(reader, 0, data_size, text);
    case DNS_MX:
        return read_target(reader, 2, data_size, text);
    case DNS_SRV:
        if (!read_target(reader, 6, data_size, text))
            return false;
        record->port = get_u16(reader->message + reader->at + 4);
        return true;
    default:
        *known = false;
        return true;
    }
}

static bool read_record(struct reader *reader,
                        void (*take)(void *context, const struct dns_record *record), void *context,
                        struct strbuf *text)
{
    if (!skip_name(reader, RECORD_BYTES))
        return false;
    struct dns_record record = {.type = get_u16(reader->message + reader->at)};
    size_t data_size = get_u16(reader->message + reader->at + 8);
    reader->at += RECORD_BYTES;
    if (reader->size - reader->at < data_size)
        return false;
    bool known;
    strbuf_clear(text);
    if (!read_data(reader, data_size, &record, text, &known))
        return false;
    reader->at += data_size;
    record.text = strbuf_str(text);
    if (known)
        take(context, &record);
    return true;
}

err_t dns_message_read(const unsigned char *message, size_t size,
                       void (*take)(void *context, const struct dns_record *record), void *context,
                       struct strbuf *why)
{
    struct reader reader = {message, size, HEADER_BYTES};
    if (size < HEADER_BYTES || size > UINT16_MAX)
        return err_fail(why, ERR_INVALID, "malformed DNS answer");
    uint16_t questions = get_u16(message + 4);
    uint16_t answers = get_u16(message + 6);
    struct strbuf text = STRBUF_INIT;
    bool good = true;
    for (uint16_t i = 0; good && i < questions; i++) {
        good = skip_name(&reader, QUESTION_BYTES);
        reader.at += good ? QUESTION_BYTES : 0;
    }
    for (uint16_t i = 0; good && i < answers; i++)
        good = read_record(&reader, take, context, &text);
    strbuf_deinit(&text);
    return good ? OK : err_fail(why, ERR_INVALID, "malformed DNS answer");
}
