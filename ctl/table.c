/* Columns of text. */
#include "table.h"

#include <stdarg.h>
#include <string.h>

#include "narthex/base/strbuf.h"
#include "narthex/base/vec.h"

void ctl_table_add(struct ctl_table *table, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vprintf(&text, format, args);
    va_end(args);
    struct str cell = arena_str(table->arena, strbuf_str(&text));
    VEC_PUSH(MEM_BASE, table->cells, table->count, table->capacity, cell.data);
    strbuf_deinit(&text);
}

void ctl_table_print(struct ctl_table *table, FILE *out)
{
    int widths[TABLE_COLUMNS_MAX] = {0};
    for (uint32_t i = 0; i < table->count; i++) {
        int *width = &widths[i % table->column_count];
        int size = (int)strlen(table->cells[i]) + table->gap;
        size = size < table->width_min ? table->width_min : size;
        *width = size > *width ? size : *width;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t column = i % table->column_count;
        bool last = column + 1 == table->column_count;
        fprintf(out, "%-*s", last && table->last_ragged ? 0 : widths[column], table->cells[i]);
        if (last)
            fputc('\n', out);
    }
    mem_free(MEM_BASE, table->cells);
    *table = (struct ctl_table){0};
}
