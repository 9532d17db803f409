/* http/why_out.h: what the two answers of /api/v1/why share. */
#pragma once

#include "request.h"

/* ,"name":"text" */
void http__add_member(struct strbuf *out, const char *name, struct str text);
/* ,"line":1,"lineText":"text" of the line to blame; nothing for line 0. */
void http__add_line(struct strbuf *out, uint64_t line, struct str text);
/* ,"ruleNumber":1,"rule":{…},"labelsBefore":{…} */
void http__add_rule(struct strbuf *out, uint32_t number, const struct relabel_rule *rule,
                    struct labels before);
/* The question with match[]. */
void http__why_series(struct http_request *request, struct str match);
