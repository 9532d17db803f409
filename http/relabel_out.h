/* http/relabel_out.h: relabel rules as JSON. */
#pragma once

#include "narthex/model/relabel.h"
#include "request.h"

/* {"source_labels":["a"],"separator":";",…}; what is empty is left out. */
void json_add_relabel_rule(struct strbuf *out, const struct relabel_rule *rule);
