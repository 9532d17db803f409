/* base/protobuf.h: reading and writing of protocol buffers' wire format.
 *
 *     struct str rest = message;
 *     struct protobuf_field field;
 *     while (rest.size > 0) {
 *         TRY(protobuf_next(&rest, &field, why));
 *         switch (field.number) { … }
 *     }
 *
 * Views point into the message. Nothing allocates; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "narthex/base/err.h"
#include "narthex/base/str.h"
#include "narthex/base/strbuf.h"

enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;   /* VARINT, FIXED64, FIXED32 */
    struct str bytes; /* BYTES: strings, messages, packed numbers */
};

/* Reads a varint at the front of *rest; false if it is cut off or longer than 10 bytes. */
bool protobuf_varint(struct str *rest, uint64_t *value);
/* Takes the next field off *rest, which is not empty. ERR_INVALID on malformed bytes. */
err_t protobuf_next(struct str *rest, struct protobuf_field *field, struct strbuf *why);

/* The field's value as a type of the schema; 0 for a field of another wire type. */
double protobuf_double(const struct protobuf_field *field);
int64_t protobuf_sint(const struct protobuf_field *field);
static inline int64_t protobuf_sint_of(uint64_t raw)
{
    return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

/* ---- writing: appends one field of a message; messages go in as bytes ---- */

void protobuf_add_varint(struct strbuf *out, uint64_t value);
void protobuf_add_uint(struct strbuf *out, uint32_t number, uint64_t value);
/* Of type sint32 or sint64. */
void protobuf_add_sint(struct strbuf *out, uint32_t number, int64_t value);
void protobuf_add_double(struct strbuf *out, uint32_t number, double value);
void protobuf_add_bytes(struct strbuf *out, uint32_t number, struct str bytes);
