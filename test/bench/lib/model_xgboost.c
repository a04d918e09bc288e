/*
 * Boosted trees by libxgboost, which the benchmark of models compares with.
 *   model_xgboost train ROWS ROUNDS MODEL NODES
 *   model_xgboost predict ROWS ROUNDS MODEL SCORES
 * ROWS is what COPY BINARY writes: columns of type real, the first of which
 * is to be predicted. MODEL is a file of libxgboost. NODES gets the nodes of
 * the trees as CSV: tree, node, feature, threshold, below, else, missing,
 * score. SCORES gets the number of a row and its score; printed are the best
 * milliseconds of libxgboost with one thread, from an array and from its
 * own matrix, which is built before.
 */
#include <arpa/inet.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xgboost/c_api.h>

#define RUNS 5

/* What COPY BINARY begins with: a signature and two numbers. */
#define COPY_HEADER 19

#define DO(call) check(call, __LINE__)

typedef struct Rows
{
	bst_ulong n;
	bst_ulong columns;
	float *target;
	float *values;
} Rows;

/* Ends the program with the error of a call of libxgboost. */
static void
check(int result, int line)
{
	if (result == 0)
		return;
	fprintf(stderr, "model_xgboost.c:%d: %s\n", line, XGBGetLastError());
	exit(1);
}

/* Ends the program. */
static void
fail(const char *message, const char *name)
{
	fprintf(stderr, "model_xgboost: %s %s\n", message, name);
	exit(1);
}

/* Opens a file, which has to be possible. */
static FILE *
open_file(const char *name, const char *mode)
{
	FILE *file = fopen(name, mode);

	if (file == NULL)
		fail("could not open", name);
	return file;
}

/* Reads a value of COPY BINARY: its size, -1 if it is null, and its bytes. */
static float
read_value(FILE *file)
{
	uint32_t word = 0;
	float value;

	if (fread(&word, 4, 1, file) != 1)
		fail("could not read", "a size");
	if (word == UINT32_MAX)
		return NAN;
	if (ntohl(word) != 4 || fread(&word, 4, 1, file) != 1)
		fail("not a real", "value");
	word = ntohl(word);
	memcpy(&value, &word, 4);
	return value;
}

/* Makes room for one more row. */
static void
grow(Rows *rows)
{
	if ((rows->n & (rows->n - 1)) == 0)
	{
		bst_ulong room = rows->n == 0 ? 1 : rows->n * 2;

		rows->target = realloc(rows->target, room * sizeof(float));
		rows->values =
			realloc(rows->values, room * rows->columns * sizeof(float));
		if (rows->target == NULL || rows->values == NULL)
			fail("out of", "memory");
	}
}

/* Reads the rows. */
static void
read_rows(const char *name, Rows *rows)
{
	FILE *file = open_file(name, "rb");
	char header[COPY_HEADER];
	uint16_t columns;

	memset(rows, 0, sizeof(*rows));
	if (fread(header, sizeof(header), 1, file) != 1)
		fail("could not read", name);
	while (fread(&columns, 2, 1, file) == 1 && columns != UINT16_MAX)
	{
		rows->columns = ntohs(columns) - 1;
		grow(rows);
		rows->target[rows->n] = read_value(file);
		for (bst_ulong i = 0; i < rows->columns; i++)
			rows->values[rows->n * rows->columns + i] = read_value(file);
		rows->n++;
	}
	fclose(file);
}

/* Trains trees of depth 6 that are as full as the rows allow. */
static void
train(BoosterHandle booster, DMatrixHandle matrix, int rounds)
{
	static const char *const settings[][2] = {
		{"objective", "reg:squarederror"},
		{"base_score", "0"},
		{"tree_method", "hist"},
		{"max_depth", "6"},
		{"min_child_weight", "0"},
		{"eta", "0.05"},
		{"nthread", "2"}};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		DO(XGBoosterSetParam(booster, settings[i][0], settings[i][1]));
	for (int i = 0; i < rounds; i++)
		DO(XGBoosterUpdateOneIter(booster, i, matrix));
}

/* Writes a node, a line of a tree that is dumped as text. */
static void
write_node(FILE *file, bst_ulong tree, const char *line)
{
	int node, feature, below, other, missing;
	char number[32];

	if (sscanf(line, " %d:[f%d<%31[^]]] yes=%d,no=%d,missing=%d", &node,
			   &feature, number, &below, &other, &missing) == 6)
		fprintf(file, "%lu,%d,%d,%s,%d,%d,%d,\n", (unsigned long) tree, node,
				feature, number, below, other, missing);
	else if (sscanf(line, " %d:leaf=%31s", &node, number) == 2)
		fprintf(file, "%lu,%d,,,,,,%s\n", (unsigned long) tree, node, number);
	else
		fail("not a node:", line);
}

/* Writes the nodes of all trees. */
static void
write_nodes(BoosterHandle booster, const char *name)
{
	FILE *file = open_file(name, "w");
	const char **trees;
	bst_ulong n;

	DO(XGBoosterDumpModelEx(booster, "", 0, "text", &n, &trees));
	for (bst_ulong i = 0; i < n; i++)
		for (const char *line = trees[i]; *line != '\0';)
		{
			write_node(file, i, line);
			line += strcspn(line, "\n");
			line += strspn(line, "\n");
		}
	fclose(file);
}

/* Milliseconds since some moment. */
static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* Makes a matrix of the rows. */
static DMatrixHandle
make_matrix(const Rows *rows)
{
	DMatrixHandle matrix;

	DO(XGDMatrixCreateFromMat(rows->values, rows->n, rows->columns, NAN,
							  &matrix));
	return matrix;
}

/* Milliseconds that predicting takes from an array. */
static double
predict_array(BoosterHandle booster, const Rows *rows, const char *config,
			  const float **scores)
{
	const bst_ulong *shape;
	bst_ulong dim;
	char array[256];
	double start = now();

	snprintf(array, sizeof(array),
			 "{\"data\": [%lu, true], \"shape\": [%lu, %lu], "
			 "\"typestr\": \"<f4\", \"version\": 3}",
			 (unsigned long) rows->values, (unsigned long) rows->n,
			 (unsigned long) rows->columns);
	DO(XGBoosterPredictFromDense(booster, array, config, NULL, &shape, &dim,
								 scores));
	return now() - start;
}

/* Milliseconds that predicting takes from a matrix nobody has seen before. */
static double
predict_matrix(BoosterHandle booster, const Rows *rows, const char *config)
{
	DMatrixHandle matrix = make_matrix(rows);
	const bst_ulong *shape;
	bst_ulong dim;
	const float *scores;
	double start = now();

	DO(XGBoosterPredictFromDMatrix(booster, matrix, config, &shape, &dim,
								   &scores));
	start = now() - start;
	DO(XGDMatrixFree(matrix));
	return start;
}

/* Predicts with one thread, prints the best times, writes the scores. */
static void
predict(BoosterHandle booster, const Rows *rows, int rounds, const char *name)
{
	double by_array = INFINITY;
	double by_matrix = INFINITY;
	const float *scores = NULL;
	char config[256];
	FILE *file;

	snprintf(config, sizeof(config),
			 "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, "
			 "\"iteration_end\": %d, \"strict_shape\": false, "
			 "\"cache_id\": 0, \"missing\": NaN}",
			 rounds);
	DO(XGBoosterSetParam(booster, "nthread", "1"));
	for (int i = 0; i < RUNS; i++)
	{
		by_matrix = fmin(by_matrix, predict_matrix(booster, rows, config));
		by_array =
			fmin(by_array, predict_array(booster, rows, config, &scores));
	}
	printf("%.1f %.1f\n", by_array, by_matrix);
	file = open_file(name, "w");
	for (bst_ulong i = 0; i < rows->n; i++)
		fprintf(file, "%lu,%.9g\n", (unsigned long) i + 1, scores[i]);
	fclose(file);
}

int
main(int argc, char **argv)
{
	BoosterHandle booster;
	DMatrixHandle matrix;
	Rows rows;
	int rounds;

	if (argc != 6)
		fail("expected", "train|predict ROWS ROUNDS MODEL NODES|SCORES");
	read_rows(argv[2], &rows);
	rounds = atoi(argv[3]);
	matrix = make_matrix(&rows);
	DO(XGDMatrixSetFloatInfo(matrix, "label", rows.target, rows.n));
	if (strcmp(argv[1], "train") == 0)
	{
		DO(XGBoosterCreate(&matrix, 1, &booster));
		train(booster, matrix, rounds);
		DO(XGBoosterSaveModel(booster, argv[4]));
		write_nodes(booster, argv[5]);
	}
	else
	{
		DO(XGBoosterCreate(NULL, 0, &booster));
		DO(XGBoosterLoadModel(booster, argv[4]));
		predict(booster, &rows, rounds, argv[5]);
	}
	return 0;
}
