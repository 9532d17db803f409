#include "narthex/base/protobuf.h"

enum { VARINT_BYTES_MAX = 10 };

bool protobuf_varint(struct str *rest, uint64_t *value)
{
    uint64_t result = 0;
    for (size_t i = 0; i < rest->size && i < VARINT_BYTES_MAX; i++) {
        unsigned char byte = (unsigned char)rest->data[i];
        result |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = result;
            *rest = str_from(rest->data + i + 1, rest->size - i - 1);
            return true;
        }
    }
    return false;
}

static err_t cut_off(struct strbuf *why)
{
    return err_fail(why, ERR_INVALID, "unexpected EOF");
}

/* Little-endian bytes of a fixed field. */
static bool take_fixed(struct str *rest, unsigned size, uint64_t *value)
{
    if (rest->size < size)
        return false;
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)(unsigned char)rest->data[i] << (8 * i);
    *rest = str_from(rest->data + size, rest->size - size);
    return true;
}

err_t protobuf_next(struct str *rest, struct protobuf_field *field, struct strbuf *why)
{
    uint64_t tag;
    if (!protobuf_varint(rest, &tag))
        return cut_off(why);
    if (tag >> 3 == 0 || tag >> 3 > INT32_MAX)
        return err_fail(why, ERR_INVALID, "proto: illegal tag %llu",
                        (unsigned long long)(tag >> 3));
    *field = (struct protobuf_field){.number = (uint32_t)(tag >> 3), .wire = tag & 7};
    switch (tag & 7) {
    case PROTOBUF_VARINT:
        return protobuf_varint(rest, &field->value) ? OK : cut_off(why);
    case PROTOBUF_FIXED64:
        return take_fixed(rest, 8, &field->value) ? OK : cut_off(why);
    case PROTOBUF_FIXED32:
        return take_fixed(rest, 4, &field->value) ? OK : cut_off(why);
    case PROTOBUF_BYTES:
        if (!protobuf_varint(rest, &field->value) || field->value > rest->size)
            return cut_off(why);
        field->bytes = str_from(rest->data, (size_t)field->value);
        *rest = str_from(rest->data + field->value, rest->size - (size_t)field->value);
        return OK;
    default:
        return err_fail(why, ERR_INVALID, "proto: illegal wireType %u", (unsigned)(tag & 7));
    }
}

double protobuf_double(const struct protobuf_field *field)
{
    double value = 0;
    if (field->wire == PROTOBUF_FIXED64)
        memcpy(&value, &field->value, sizeof value);
    return value;
}

int64_t protobuf_sint(const struct protobuf_field *field)
{
    return field->wire == PROTOBUF_VARINT ? protobuf_sint_of(field->value) : 0;
}

void protobuf_add_varint(struct strbuf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        strbuf_add_char(out, (char)(value | 0x80));
    strbuf_add_char(out, (char)value);
}

static void add_tag(struct strbuf *out, uint32_t number, enum protobuf_wire wire)
{
    protobuf_add_varint(out, (uint64_t)number << 3 | wire);
}

void protobuf_add_uint(struct strbuf *out, uint32_t number, uint64_t value)
{
    add_tag(out, number, PROTOBUF_VARINT);
    protobuf_add_varint(out, value);
}

void protobuf_add_sint(struct strbuf *out, uint32_t number, int64_t value)
{
    protobuf_add_uint(out, number, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

void protobuf_add_double(struct strbuf *out, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_tag(out, number, PROTOBUF_FIXED64);
    for (unsigned i = 0; i < 8; i++)
        strbuf_add_char(out, (char)(bits >> (8 * i)));
}

void protobuf_add_bytes(struct strbuf *out, uint32_t number, struct str bytes)
{
    add_tag(out, number, PROTOBUF_BYTES);
    protobuf_add_varint(out, bytes.size);
    strbuf_add_str(out, bytes);
}
