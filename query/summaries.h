/* query/summaries.h: columns that a range function need not see decoded (private to query/).
 *
 * A column that no window cuts in two, of which the store knows statistics, stands in the sample
 * buffer as one or two samples that give the function the same bits as all of them would. How many
 * samples they stand for is kept beside them (sample_buffer.before).
 */
#pragma once

#include "samples.h"

enum summary_kind summaries__kind_of(enum function_id id);
/* Puts the summary of a column into the buffer; false if the column must be decoded. */
bool summaries__take(struct sample_buffer *buffer, const struct sample_want *want,
                     const struct sample_column_info *info);
/* After the whole series: whether the kind may be used with what else is in the buffer. */
bool summaries__hold(const struct sample_buffer *buffer, enum summary_kind kind);
