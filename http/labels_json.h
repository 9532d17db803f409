/* http/labels_json.h: a label set that a client sends as a JSON object of strings. */
#pragma once

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/base/strbuf.h"
#include "narthex/model/labels.h"

/* Adds the object's members to the builder; the texts go into the arena. null stands for nothing,
 * as an object and as a value. ERR_INVALID for anything else, in Go's words where it is JSON. */
err_t labels_json_read(struct str text, struct arena *arena, struct label_builder *builder,
                       struct strbuf *why);
