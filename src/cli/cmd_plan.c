/* What a deploy would do, and what somebody changed by hand, as people read it:
 *
 *	  ~ service  web       Image differs
 *	      ~ TaskTemplate.ContainerSpec.Image: "nginx:1" -> "nginx:2"
 *
 * + made, ~ changed in place, -/+ made anew, - removed, ! cannot be done. */
#include "cli/commands.h"

#include <string.h>
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/plan_file.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/view.h"
#include "skep/v1/messages.h"
#include "skep/v1/stacks.pb-c.h"

#define CHANGED 2 /* exit code with --detailed-exitcode */

struct sign {
	const char *text;
	enum tone tone;
};

static void add_sign(struct cli *c, struct buf *b, const char *indent, struct sign s)
{
	bool color = c->color && s.tone != TONE_PLAIN;
	buf_fmt(b, "%s%s%s%s", indent, color ? tone_begin(s.tone) : "", s.text, color ? TONE_END : "");
}

static void add_text(struct buf *b, const char *text)
{
	text_clean(b, str_of(text), false);
}

static const char *kind_word(struct cli *c, Skep__V1__ObjectKind kind)
{
	return enum_word(c->arena, &skep__v1__object_kind__descriptor, (int)kind);
}

/* "web   reason": padded so that reasons stand below each other where they can. */
static void add_object(struct cli *c, struct buf *b, Skep__V1__ObjectKind kind, const char *key, const char *reason)
{
	const char *word = kind_word(c, kind);
	buf_fmt(b, " %-8s ", word);
	add_text(b, key);
	if (reason[0]) {
		size_t width = text_width(str_of(key));
		text_pad(b, width < 24 ? 24 - width : 0);
		buf_fmt(b, "  %s", c->color ? tone_begin(TONE_DIM) : "");
		add_text(b, reason);
		buf_adds(b, c->color ? TONE_END : "");
	}
	buf_addc(b, '\n');
}

static void add_changes(struct cli *c, struct buf *b, Skep__V1__FieldChange *const *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const Skep__V1__FieldChange *f = changes[i];
		bool before = f->before[0], after = f->after[0];
		struct sign s = before && after ? (struct sign){"~", TONE_BUSY}
				: after         ? (struct sign){"+", TONE_GOOD}
						: (struct sign){"-", TONE_BAD};
		add_sign(c, b, "      ", s);
		buf_addc(b, ' ');
		add_text(b, f->path);
		buf_adds(b, ": ");
		add_text(b, before ? f->before : f->after);
		if (before && after) {
			buf_adds(b, " -> ");
			add_text(b, f->after);
		}
		buf_addc(b, '\n');
	}
}

/* ---- plan ---- */

static struct sign sign_of(Skep__V1__PlanVerdict v)
{
	switch (v) {
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_CREATE:
		return (struct sign){"  +", TONE_GOOD};
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_UPDATE:
		return (struct sign){"  ~", TONE_BUSY};
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_REPLACE:
		return (struct sign){"-/+", TONE_BUSY};
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_REMOVE:
		return (struct sign){"  -", TONE_BAD};
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_REFUSE:
		return (struct sign){"  !", TONE_BAD};
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_UNSPECIFIED:
	case SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_KEEP:
		break;
	}
	return (struct sign){"   ", TONE_PLAIN};
}

static unsigned changes_of(const Skep__V1__StackPlan *p)
{
	return p->to_create + p->to_update + p->to_replace + p->to_remove;
}

static void write_summary(struct buf *b, const Skep__V1__StackPlan *p)
{
	if (p->n_actions > p->unchanged)
		buf_addc(b, '\n');
	if (changes_of(p) + p->refused == 0)
		buf_adds(b, "No changes: what runs is what the text says.\n");
	buf_fmt(b, "Plan: %u to create, %u to update, %u to replace, %u to remove, %u unchanged", p->to_create, p->to_update,
		p->to_replace, p->to_remove, p->unchanged);
	if (p->refused)
		buf_fmt(b, "; %u cannot be done: a deploy would fail", p->refused);
	buf_adds(b, "\n");
}

static void print_plan(struct cli *c, const Skep__V1__StackPlan *p)
{
	struct buf b = {0};
	for (size_t i = 0; i < p->n_actions && !c->quiet; i++) {
		const Skep__V1__PlanAction *a = p->actions[i];
		if (a->verdict == SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_KEEP)
			continue;
		bool is_new = a->verdict == SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_CREATE;
		add_sign(c, &b, "", sign_of(a->verdict));
		add_object(c, &b, a->kind, a->key, is_new ? "" : a->reason);
		add_changes(c, &b, a->changes, a->n_changes);
	}
	for (size_t i = 0; i < p->n_verdicts; i++) {
		add_sign(c, &b, "", (struct sign){p->verdicts[i]->refuses ? "  !" : "  *", TONE_BAD});
		buf_addc(&b, ' ');
		add_text(&b, p->verdicts[i]->message);
		buf_addc(&b, '\n');
	}
	write_summary(&b, p);
	cli_write(c, &b);
	buf_finish(&b);
}

static bool refuses(const Skep__V1__StackPlan *p)
{
	bool refused = p->refused > 0;
	for (size_t i = 0; i < p->n_verdicts; i++)
		refused |= p->verdicts[i]->refuses;
	return refused;
}

static int show_plan(struct cli *c, const ProtobufCMessage *reply)
{
	const Skep__V1__StackPlan *p = (const Skep__V1__StackPlan *)reply;
	const char *file = cli_option(c, "out");
	for (size_t i = 0; i < p->n_warnings; i++)
		cli_warn(c, p->warnings[i]);
	switch (c->format) {
	case FORMAT_TABLE:
		print_plan(c, p);
		break;
	case FORMAT_NAME:
		cli_print(c, "%s\n", p->fingerprint);
		break;
	case FORMAT_JSON:
	case FORMAT_YAML:
		view_json(c, message_json(&skep_v1_msg_stack_plan, reply));
		break;
	}
	if (file) {
		struct status st = plan_file_write(file, p->fingerprint);
		if (!status_is_ok(&st))
			return cli_fail(c, &st);
	}
	if (refuses(p))
		return CLI_FAILED;
	return cli_flag(c, "detailed-exitcode") && changes_of(p) > 0 ? CHANGED : CLI_DONE;
}

int cmd_stack_plan(struct cli *c)
{
	Skep__V1__DeployStackRequest d = SKEP__V1__DEPLOY_STACK_REQUEST__INIT;
	Skep__V1__PlanStackRequest r = SKEP__V1__PLAN_STACK_REQUEST__INIT;
	ProtobufCMessage *reply;
	int code = cmd_deploy_request(c, &d);
	if (code)
		return code;
	r.deploy = &d;
	r.show_values = cli_flag(c, "show-values");
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Stacks/Plan", .reply = &skep_v1_msg_stack_plan,
		.request = &r.base, .timeout_ms = 120000}, &reply);
	return code ? code : show_plan(c, reply);
}

/* ---- diff ---- */

static struct sign drift_sign(Skep__V1__DriftKind k)
{
	switch (k) {
	case SKEP__V1__DRIFT_KIND__DRIFT_KIND_CHANGED:
		return (struct sign){"  ~", TONE_BUSY};
	case SKEP__V1__DRIFT_KIND__DRIFT_KIND_MISSING:
		return (struct sign){"  -", TONE_BAD};
	case SKEP__V1__DRIFT_KIND__DRIFT_KIND_FOREIGN:
		return (struct sign){"  +", TONE_GOOD};
	case SKEP__V1__DRIFT_KIND__DRIFT_KIND_UNSPECIFIED:
		break;
	}
	return (struct sign){"  ?", TONE_PLAIN};
}

static void print_diff(struct cli *c, const Skep__V1__StackDiff *d)
{
	struct buf b = {0};
	for (size_t i = 0; i < d->n_drifts; i++) {
		const Skep__V1__Drift *x = d->drifts[i];
		add_sign(c, &b, "", drift_sign(x->drift));
		add_object(c, &b, x->kind, x->key, x->message);
		add_changes(c, &b, x->changes, x->n_changes);
	}
	if (d->n_drifts == 0 && !c->quiet)
		buf_fmt(&b, "No drift: what runs is release %lld.\n", (long long)d->release);
	cli_write(c, &b);
	buf_finish(&b);
}

static void name_drifts(struct cli *c, const Skep__V1__StackDiff *d)
{
	for (size_t i = 0; i < d->n_drifts; i++)
		cli_print(c, "%s\n", d->drifts[i]->key);
}

int cmd_stack_diff(struct cli *c)
{
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	Skep__V1__DiffStackRequest r = SKEP__V1__DIFF_STACK_REQUEST__INIT;
	ProtobufCMessage *reply;
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	r.stack = &ref;
	r.show_values = cli_flag(c, "show-values");
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Stacks/Diff", .reply = &skep_v1_msg_stack_diff,
		.request = &r.base, .timeout_ms = 60000}, &reply);
	if (code)
		return code;
	const Skep__V1__StackDiff *d = (const Skep__V1__StackDiff *)reply;
	if (d->busy)
		cli_warn(c, "a job is at work on this stack: what it does may be shown as drift");
	switch (c->format) {
	case FORMAT_TABLE:
		print_diff(c, d);
		break;
	case FORMAT_NAME:
		name_drifts(c, d);
		break;
	case FORMAT_JSON:
	case FORMAT_YAML:
		view_json(c, message_json(&skep_v1_msg_stack_diff, reply));
		break;
	}
	return cli_flag(c, "detailed-exitcode") && d->n_drifts > 0 ? CHANGED : CLI_DONE;
}
