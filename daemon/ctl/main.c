/* filled by the command-line tool */ int main(void); int main(void) { return 0; }
