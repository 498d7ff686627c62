/* Two libraries of two models in one process, each asked for what only it can know. */
#include <plain-steps.h>
#include <series.h>
#include <stdio.h>

int main(void) {
  series_model first;
  plain_steps_model second;
  series_value number;
  plain_steps_value result, argument;
  const char *schema;
  int64_t steps;
  size_t count;
  if (series_open(NULL, &first) != SERIES_OK) return puts(series_last_error()), 1;
  if (plain_steps_open(NULL, &second) != PLAIN_STEPS_OK) return puts(plain_steps_last_error()), 1;
  if (series_method_schema(first, 0, &schema) != SERIES_OK) return 2;
  puts(schema);
  if (plain_steps_method_schema(second, 0, &schema) != PLAIN_STEPS_OK) return 2;
  puts(schema);
  if (plain_steps_int(41, &argument) != PLAIN_STEPS_OK) return 3;
  if (plain_steps_call(second, NULL, &argument, 1, &result) != PLAIN_STEPS_OK) return 3;
  if (plain_steps_get_int(result, &steps) != PLAIN_STEPS_OK) return 3;
  printf("%d\n", (int)steps);
  /* What one gave, the other refuses. */
  printf("%d %d\n", series_get_int(result, &steps), series_method_count(second, &count));
  if (series_int(1, &number) != SERIES_OK || series_free(number) != SERIES_OK) return 4;
  if (plain_steps_free(argument) != PLAIN_STEPS_OK) return 5;
  if (plain_steps_free(result) != PLAIN_STEPS_OK) return 5;
  if (series_close(first) != SERIES_OK) return 5;
  return plain_steps_close(second) == PLAIN_STEPS_OK ? 0 : 5;
}
