#include <stdio.h>

int main(void)
{
    puts("jobcloned " JOBCLONE_VERSION);
    return 0;
}
