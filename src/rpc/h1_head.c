#include "rpc/h1_head.h"
#include "base/str.h"

static const char *check(const struct h1_head *h, char c)
{
	unsigned char u = (unsigned char)c;
	if (h->last == '\r' && c != '\n')
		return "a carriage return stands alone";
	if (c == '\n' && h->last != '\r')
		return "a line ends without carriage return";
	if ((u < 0x20 && c != '\t' && c != '\r' && c != '\n') || u == 0x7f)
		return "a control character";
	if (h->begun && h->line == 0 && (c == ' ' || c == '\t'))
		return "a folded line";
	if (h->begun && h->line == 0 && c == ':')
		return "a field without a name";
	if (!h->in_fields && (c == '\t' || (c == ' ' && h->last == ' ')))
		return "a request line with more than one space between its parts";
	return NULL;
}

size_t h1_head_scan(
	struct h1_head *h, const char *bytes, size_t len, bool *ret_done, const char **ret_wrong)
{
	*ret_done = false;
	*ret_wrong = NULL;
	for (size_t i = 0; i < len; i++) {
		if (h->line > 0 && h->last != '\r') { /* inside a line these break no rule */
			size_t n = str_plain_upto(str_make(bytes + i, len - i), h->in_fields ? ' ' : ' ' + 1);
			i += n;
			h->len += n;
			h->line += (unsigned)n;
			h->last = n > 0 ? bytes[i - 1] : h->last;
			if (i == len)
				break;
		}
		char c = bytes[i];
		*ret_wrong = check(h, c);
		if (*ret_wrong)
			return i;
		h->last = c;
		h->len++;
		if (c == '\n') {
			bool empty = h->line == 0;
			h->line = 0;
			h->in_fields = h->begun;
			if (empty && h->begun) {
				*ret_done = true;
				return i + 1;
			}
		} else if (c != '\r') {
			h->line++;
			h->begun = true;
		}
	}
	return len;
}
