// Counts the words of its files, or of standard input: C's stdio, argv, getenv and exit codes over preview1.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long count(FILE *file) {
  long words = 0;
  int c, inside = 0;
  while ((c = getc(file)) != EOF) {
    if (isspace(c)) inside = 0;
    else if (!inside) inside = 1, words++;
  }
  return words;
}

int main(int argc, char **argv) {
  const char *label = getenv("LABEL");
  int missing = 0;
  if (argc == 1) printf("%s%ld\n", label ? label : "", count(stdin));
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "r");
    if (!file) {
      fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
      missing++;
      continue;
    }
    printf("%s%ld %s\n", label ? label : "", count(file), argv[i]);
    fclose(file);
  }
  return missing;
}
