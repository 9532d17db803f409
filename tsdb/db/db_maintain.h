/* The housekeeper and what it does. */
#pragma once

#include "db_impl.h"

void db__metrics_register(struct db *db, struct metrics *metrics);
void db__housekeeper_start(struct db *db);
void db__housekeeper_stop(struct db *db);
