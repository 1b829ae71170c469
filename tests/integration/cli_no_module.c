/*
 * cli_no_module.c - a shared object that is no module: it has no entry. Does nothing.
 */
__attribute__((visibility("default"))) int nothing_of_pawl(void);

int nothing_of_pawl(void)
{
    return 0;
}
