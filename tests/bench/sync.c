/* sync FILE COUNT: writes 4 KiB at a random place of a file of 16 MiB and waits until it is on the disk, COUNT
 * times. Prints how many that are in a second. The file is made, and written in full, where there is none. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 4096 };

int main(int count, char **words) {
    if (count != 3) return 2;
    int file = open(words[1], O_RDWR | O_CREAT, 0600);
    if (file < 0) { perror(words[1]); return 1; }
    char block[BLOCK];
    memset(block, 'x', sizeof block);
    if (lseek(file, 0, SEEK_END) < (off_t)BLOCK * BLOCKS) {
        for (int at = 0; at < BLOCKS; at++)
            if (pwrite(file, block, BLOCK, (off_t)at * BLOCK) != BLOCK) { perror("write"); return 1; }
        if (fsync(file)) { perror("fsync"); return 1; }
    }
    int rounds = atoi(words[2]);
    struct timespec began, ended;
    srand(getpid());
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int one = 0; one < rounds; one++) {
        block[0] = (char)one;
        if (pwrite(file, block, BLOCK, (off_t)(rand() % BLOCKS) * BLOCK) != BLOCK || fdatasync(file)) {
            perror("write");
            return 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double seconds = ended.tv_sec - began.tv_sec + (ended.tv_nsec - began.tv_nsec) / 1e9;
    printf("%.1f\n", rounds / seconds);
    return 0;
}
