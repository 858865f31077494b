#include "base/size.h"
#include "base/arena.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* "", "b", "k", "kb", "kib" … → how often 1024 multiplies; -1 = no unit. */
static int unit_power(struct str unit)
{
	static const char letters[] = "bkmgtp";
	if (unit.len == 0)
		return 0;
	const char *at = strchr(letters, lower(unit.ptr[0]));
	if (!at || *at == '\0' || unit.len > 3)
		return -1;
	int power = (int)(at - letters);
	if (power == 0)
		return unit.len == 1 ? 0 : -1;
	if (unit.len == 2 && lower(unit.ptr[1]) != 'b')
		return -1;
	if (unit.len == 3 && (lower(unit.ptr[1]) != 'i' || lower(unit.ptr[2]) != 'b'))
		return -1;
	return power;
}

bool size_parse(struct str s, int64_t *ret_bytes)
{
	size_t number = s.len; /* up to the last digit, point or space */
	while (number > 0 && !(s.ptr[number - 1] >= '0' && s.ptr[number - 1] <= '9') &&
		s.ptr[number - 1] != '.' && s.ptr[number - 1] != ' ')
		number--;
	if (number == 0)
		return false;
	int power = unit_power((struct str){s.ptr + number, s.len - number});
	if (s.ptr[number - 1] == ' ')
		number--;
	double value;
	if (power < 0 || !str_to_double((struct str){s.ptr, number}, &value) || value < 0)
		return false;
	for (; power > 0; power--)
		value *= 1024;
	if (!(value < 0x1p63))
		return false;
	*ret_bytes = (int64_t)value;
	return true;
}

char *size_text(struct arena *a, int64_t bytes)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;
	while ((value >= 1024 || value <= -1024) && unit + 1 < sizeof(names) / sizeof(names[0])) {
		value /= 1024;
		unit++;
	}
	return arena_fmt(a, "%.4g%s", value, names[unit]);
}
