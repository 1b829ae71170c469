/*
 * host_module_none.c - a shared object that is no module.
 */
int host_module_none(void);

int host_module_none(void)
{
    return 1;
}
