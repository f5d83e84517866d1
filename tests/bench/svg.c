/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The results as a picture: one block for each kind of work, a row for each candidate, a column for each size. Bars
 * begin at zero and have a scale for each column, so that a bar twice as long is a value twice as large. Variants
 * of one candidate (those with a base of their own) are left to the table.
 */
#include "bench.h"

#include <string.h>

#define WIDTH 1080
#define MARGIN 28
#define LABELS 208 /* width of the names */
#define ROW 21
#define BAR 13
#define TITLE 46 /* height of a block's title and column heads */
#define GAP 26 /* between blocks */
#define HEAD 96
#define FOOT 84
#define VALUE 52 /* room for the figure behind the longest bar */
#define FONT 12

static const char style[] =
	"<style>\n"
	"text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;font-size:12px;fill:#24292f}\n"
	".page{fill:#ffffff}.h1{font-size:19px;font-weight:600}.h2{font-size:14px;font-weight:600}\n"
	".soft{fill:#57606a}.best{font-weight:700}.warn{fill:#b3261e;font-weight:600}.rule{stroke:#d0d7de}\n"
	".own{fill:#1f6feb}.peer{fill:#8c959f}.floor{fill:#d4a72c}.ownname{font-weight:600}\n"
	"@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.soft{fill:#9198a1}\n"
	".warn{fill:#ff7b72}.rule{stroke:#30363d}.own{fill:#4493f8}.peer{fill:#6e7681}.floor{fill:#bb8009}}\n"
	"</style>\n";

/* Who a bar belongs to. */
static const char *class_of(const struct bench_candidate *candidate)
{
	static const char *const floors[] = {"line", "flag", "futex", "eventfd", "pipe", "unix"};

	if (!strncmp(candidate->label, "vshm", 4))
		return "own";
	for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++)
		if (!strcmp(candidate->name, floors[i]))
			return "floor";
	return "peer";
}

/* Names and labels need no escaping; the machine's line does. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if ((unsigned char)*text >= ' ')
			fputc(*text, out);
}

static const struct bench_result *shown(const struct bench_report *report, const struct bench_candidate *candidate,
					size_t size)
{
	const struct bench_result *result = bench_find(report, candidate->work, candidate->name, size);

	return result && result->ns > 0 ? result : NULL;
}

static bool has_row(const struct bench_report *report, const struct bench_candidate *candidate, enum bench_work work)
{
	unsigned count;
	const size_t *sizes = bench_work_sizes(work, &count);

	for (unsigned i = 0; i < count; i++)
		if (candidate->work == work && !candidate->base && shown(report, candidate, sizes[i]))
			return true;
	return false;
}

static unsigned rows_of(const struct bench_report *report, enum bench_work work)
{
	unsigned rows = 0;

	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		rows += has_row(report, *c, work);
	return rows;
}

/* The longest bar of a column and the best one: not the same where less is better. */
struct column {
	double x, width, longest, best;
};

static void measure(const struct bench_report *report, enum bench_work work, size_t size, struct column *column)
{
	column->longest = column->best = 0;
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++) {
		const struct bench_result *result = has_row(report, *c, work) ? shown(report, *c, size) : NULL;
		double value = result ? bench_value(result) : 0;

		if (!result)
			continue;
		if (value > column->longest)
			column->longest = value;
		if (column->best <= 0 || (work == BENCH_STREAM ? value > column->best : value < column->best))
			column->best = value;
	}
}

static void put_text(FILE *out, double x, double y, const char *class, const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, text);
}

static void put_bar(FILE *out, const struct bench_result *result, const struct column *column, double y)
{
	double value = bench_value(result), length = value / column->longest * (column->width - VALUE);
	char text[32];

	if (length < 1)
		length = 1;
	bench_value_text(text, sizeof(text), value);
	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", column->x,
		y + (ROW - BAR) / 2.0, length, BAR, class_of(result->candidate));
	put_text(out, column->x + length + 5, y + ROW / 2.0 + FONT / 2.0 - 1.5, value == column->best ? "best" : "soft",
		 text);
}

static void put_row(const struct bench_report *report, FILE *out, const struct bench_candidate *candidate,
		    const struct column columns[], double y)
{
	unsigned count;
	const size_t *sizes = bench_work_sizes(candidate->work, &count);
	bool own = !strcmp(class_of(candidate), "own");

	put_text(out, MARGIN, y + ROW / 2.0 + FONT / 2.0 - 1.5, own ? "ownname" : "", candidate->label);
	for (unsigned i = 0; i < count; i++) {
		const struct bench_result *result = shown(report, candidate, sizes[i]);

		if (result)
			put_bar(out, result, &columns[i], y);
	}
}

static void put_title(FILE *out, enum bench_work work, double y)
{
	fprintf(out,
		"<text x=\"%d\" y=\"%.1f\" class=\"h2\">%s<tspan class=\"soft\" dx=\"10\" font-weight=\"400\">%s</tspan></text>\n",
		MARGIN, y + 15, bench_work_titles[work], bench_unit(work));
}

/* One block from `y` on; returns where it ends. */
static double put_block(const struct bench_report *report, FILE *out, enum bench_work work, double y)
{
	struct column columns[BENCH_MAX_SIZES];
	char text[16];
	unsigned count;
	const size_t *sizes = bench_work_sizes(work, &count);
	double width = (double)(WIDTH - 2 * MARGIN - LABELS) / count;

	put_title(out, work, y);
	for (unsigned i = 0; i < count; i++) {
		columns[i].x = MARGIN + LABELS + i * width;
		columns[i].width = width;
		measure(report, work, sizes[i], &columns[i]);
		bench_size_text(text, sizeof(text), sizes[i]);
		put_text(out, columns[i].x, y + TITLE - 8, "soft", text);
	}
	y += TITLE;
	fprintf(out, "<path d=\"M%d %.1fH%d\" class=\"rule\"/>\n", MARGIN, y - 2, WIDTH - MARGIN);
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if (has_row(report, *c, work)) {
			put_row(report, out, *c, columns, y);
			y += ROW;
		}
	return y + GAP;
}

static void put_key(FILE *out, double x, double y, const char *class, const char *text)
{
	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", x, y - 10, BAR,
		BAR, class);
	put_text(out, x + BAR + 6, y + 1, "", text);
}

static void put_head(const struct bench_report *report, FILE *out)
{
	put_text(out, MARGIN, 38, "h1", "libvshm beside other ways to move messages between two processes");
	put_key(out, MARGIN, 66, "own", "libvshm");
	put_key(out, MARGIN + 100, 66, "peer", "other libraries");
	put_key(out, MARGIN + 240, 66, "floor", "the hardware's and the kernel's own means");
	put_text(out, MARGIN + 536, 67, "soft", "Each column has a scale of its own; bold: the best of the column");
	if (report->noisy)
		put_text(out, MARGIN, 86, "warn", "The machine was too noisy to conclude anything from this.");
}

static void put_foot(const struct bench_report *report, FILE *out, double y)
{
	const struct bench_options *o = report->options;
	char machine[256], noise[256];

	bench_machine(machine, sizeof(machine));
	bench_noise_text(report, noise, sizeof(noise));
	fprintf(out, "<path d=\"M%d %.1fH%d\" class=\"rule\"/>\n<text x=\"%d\" y=\"%.1f\" class=\"soft\">", MARGIN, y,
		WIDTH - MARGIN, MARGIN, y + 20);
	put_escaped(out, machine);
	fprintf(out,
		"; cores %d and %d; medians of %u rounds, %g s each. Every byte is written by one process and checked by the "
		"other.</text>\n",
		o->core[0], o->core[1], report->rounds, o->seconds);
	put_text(out, MARGIN, y + 40, "soft", noise);
}

void bench_svg(const struct bench_report *report, FILE *out)
{
	double y = HEAD, height = HEAD + FOOT;

	for (unsigned work = 0; work < BENCH_WORKS; work++) {
		unsigned rows = rows_of(report, (enum bench_work)work);

		height += rows ? TITLE + rows * ROW + GAP : 0;
	}
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d %.0f\" role=\"img\" "
		"aria-label=\"Benchmark of libvshm\">\n%s<rect width=\"%d\" height=\"%.0f\" class=\"page\"/>\n",
		WIDTH, height, WIDTH, height, style, WIDTH, height);
	put_head(report, out);
	for (unsigned work = 0; work < BENCH_WORKS; work++)
		if (rows_of(report, (enum bench_work)work))
			y = put_block(report, out, (enum bench_work)work, y);
	put_foot(report, out, y);
	fputs("</svg>\n", out);
}
