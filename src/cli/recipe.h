/* Recipes: YAML whose keys are a command's own options. Nearer wins: command line, --set, the recipe's section of the
 * command, its section `all`, the defaults. */
#ifndef STRATA_CLI_RECIPE_H
#define STRATA_CLI_RECIPE_H

#include "base/json.h"
#include "cli/options.h"
#include "study/recipe.h"

/* What the mapping `section` of the file `path` says, where nothing was given yet. `shared`: options of other commands
 * that a recipe may hold are passed over; any other unknown key is STRATA_ERR_USAGE with its line and the nearest. The
 * nodes' texts must outlive `arguments`; sequences become comma-separated texts in place. */
int strata_recipe_fill(struct strata_arguments *arguments, struct strata_yaml *section, const char *path, bool shared,
                       struct strata_error *err);
/* What --set and --recipe among `arguments` say; nothing where they were not given. */
int strata_recipe_apply(struct strata_arguments *arguments, struct strata_error *err);

/* Every option that was given, and by whom: {"command", "data", "recipe", "options": {name: {"value", "from"}}}, in the
 * order of the table. NULL: out of memory. */
json_t *strata_recipe_account(const struct strata_arguments *arguments);

#endif
