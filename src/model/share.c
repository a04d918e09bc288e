/*
 * Compiled models as files that all backends map: one copy in memory however
 * many connections use it. A file is named by the hash of its contents, is
 * written once, under another name at first, and never changes. It holds
 * nothing that the tables do not hold: when it is missing (after a restore,
 * on a standby) who needs it first writes it again, while others wait.
 *
 * A file is the compiled form and a checksum, which is computed again when
 * the file is mapped: what a disk damaged is never run.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "model/share.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/lock.h"
#include "utils/builtins.h"

/* Below the data directory, which is where backends are; one a database. */
#define SHARE_DIRECTORY "iaros_model"
#define SHARE_DIRECTORY_SIZE (sizeof(SHARE_DIRECTORY) + 16)

#define HASH_BYTES sizeof(((ModelHead *) NULL)->hash)

/* Room for the name of a file: directory, hash, process, ending. */
#define SHARE_PATH_SIZE (SHARE_DIRECTORY_SIZE + 2 * HASH_BYTES + 32)

/* Between those of pg_advisory_lock(), 1 and 2, and those of others. */
#define SHARE_LOCK_KIND 77

PG_FUNCTION_INFO_V1(model_files);
PG_FUNCTION_INFO_V1(model_file_remove);

/* The directory of the files of this database. */
static void
share_directory(char *directory)
{
	snprintf(directory, SHARE_DIRECTORY_SIZE, "%s/%u", SHARE_DIRECTORY,
			 MyDatabaseId);
}

/* Makes the directory of this database; false when that fails. */
static bool
share_make_directory(void)
{
	char directory[SHARE_DIRECTORY_SIZE];

	share_directory(directory);
	return (MakePGDirectory(SHARE_DIRECTORY) == 0 || errno == EEXIST) &&
		   (MakePGDirectory(directory) == 0 || errno == EEXIST);
}

/* The name of the file of a model. */
static void
share_path(const uint8 *hash, char *path)
{
	char directory[SHARE_DIRECTORY_SIZE];
	char hex[2 * HASH_BYTES + 1];

	for (int i = 0; i < HASH_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	share_directory(directory);
	snprintf(path, SHARE_PATH_SIZE, "%s/%s.%d", directory, hex, MODEL_LAYOUT);
}

/* The checksum of a compiled form. */
static pg_crc32c
share_checksum(const ModelHead *head)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, head, VARSIZE(head));
	FIN_CRC32C(crc);
	return crc;
}

/* Tells whether a mapped file is the whole compiled form with a hash. */
static bool
share_is_whole(const ModelHead *head, Size size, const uint8 *hash)
{
	pg_crc32c crc;

	if (size < sizeof(ModelHead) + sizeof(crc) ||
		head->layout != MODEL_LAYOUT ||
		memcmp(head->hash, hash, HASH_BYTES) != 0 ||
		model_size(head) != size - sizeof(crc) ||
		VARSIZE(head) != size - sizeof(crc))
		return false;
	memcpy(&crc, (const char *) head + VARSIZE(head), sizeof(crc));
	return EQ_CRC32C(crc, share_checksum(head));
}

/* Maps the file of a model; NULL if there is none that is whole. */
static const ModelHead *
share_map(const uint8 *hash)
{
	char path[SHARE_PATH_SIZE];
	struct stat status;
	void *map = MAP_FAILED;
	Size size = 0;
	int fd;

	share_path(hash, path);
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) == 0 && status.st_size >= sizeof(ModelHead) &&
		status.st_size <= MODEL_MAX_SIZE)
	{
		size = status.st_size;
		map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	}
	CloseTransientFile(fd);
	if (map == MAP_FAILED)
		return NULL;
	if (share_is_whole(map, size, hash))
		return map;
	munmap(map, size);
	return NULL;
}

/* Gives back what share_map() returned. */
void
share_unmap(const ModelHead *head)
{
	munmap(unconstify(ModelHead *, head), VARSIZE(head) + sizeof(pg_crc32c));
}

/* Writes bytes to a file that is open. */
static bool
share_put(int fd, const void *bytes, Size size)
{
	const char *at = bytes;

	while (size > 0)
	{
		ssize_t written = write(fd, at, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		at += written;
		size -= written;
	}
	return true;
}

/*
 * Writes the file of a model; false when that fails: the disk may be full,
 * and who wants the model uses a copy of its own.
 */
static bool
share_write(const ModelHead *head)
{
	char path[SHARE_PATH_SIZE];
	char temporary[SHARE_PATH_SIZE + 16];
	pg_crc32c crc = share_checksum(head);
	bool filled;
	int fd;

	if (!share_make_directory())
		return false;
	share_path(head->hash, path);
	snprintf(temporary, sizeof(temporary), "%s.%d", path, MyProcPid);
	fd = OpenTransientFile(temporary, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
	if (fd < 0)
		return false;
	filled = share_put(fd, head, VARSIZE(head)) &&
			 share_put(fd, &crc, sizeof(crc)) && pg_fsync(fd) == 0;
	if (CloseTransientFile(fd) != 0 || !filled ||
		durable_rename(temporary, path, LOG) != 0)
	{
		unlink(temporary);
		return false;
	}
	return true;
}

/*
 * Holds back other sessions that want the file of a model, or lets them go.
 * The kind of advisory lock is one that SQL cannot take.
 */
static void
share_lock(const uint8 *hash, bool hold)
{
	LOCKTAG tag;
	uint32 words[2];

	memcpy(words, hash, sizeof(words));
	SET_LOCKTAG_ADVISORY(tag, InvalidOid, words[0], words[1], SHARE_LOCK_KIND);
	if (hold)
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	else
		LockRelease(&tag, ExclusiveLock, false);
}

/*
 * The mapped file of a model. When there is none, read() with its argument
 * gives the compiled form to write; NULL when that fails, too.
 */
const ModelHead *
share_open(const uint8 *hash, const ModelHead *(*read)(void *arg), void *arg)
{
	const ModelHead *map = share_map(hash);

	if (map != NULL)
		return map;
	share_lock(hash, true);
	map = share_map(hash);
	if (map == NULL && share_write(read(arg)))
		map = share_map(hash);
	share_lock(hash, false);
	return map;
}

/* The hash that the name of a file begins with; false if it has none. */
static bool
share_name_hash(const char *name, bytea *hash)
{
	SET_VARSIZE(hash, VARHDRSZ + HASH_BYTES);
	for (int i = 0; i < HASH_BYTES; i++)
	{
		unsigned int byte;

		if (strspn(name + 2 * i, "0123456789abcdef") < 2 ||
			sscanf(name + 2 * i, "%2x", &byte) != 1)
			return false;
		VARDATA(hash)[i] = (char) byte;
	}
	return name[2 * HASH_BYTES] == '.';
}

/* Adds a row for a file of the directory. */
static void
share_list(ReturnSetInfo *rsinfo, const char *name)
{
	char directory[SHARE_DIRECTORY_SIZE];
	char path[MAXPGPATH];
	char space[VARHDRSZ + HASH_BYTES];
	bytea *hash = (bytea *) space;
	struct stat status;
	Datum values[4];
	bool nulls[4] = {0};

	if (!share_name_hash(name, hash))
		return;
	share_directory(directory);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (stat(path, &status) != 0)
		return;
	values[0] = CStringGetTextDatum(name);
	values[1] = PointerGetDatum(hash);
	values[2] = Int64GetDatum(status.st_size);
	values[3] = Float8GetDatum((double) status.st_mtime);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* SQL: model_files() returns table (name, hash, bytes, modified) */
PGDLLEXPORT Datum
model_files(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char name[SHARE_DIRECTORY_SIZE];
	struct dirent *entry;
	DIR *directory;

	core_require_install();
	SetSingleFuncCall(fcinfo, 0);
	share_directory(name);
	directory = AllocateDir(name);
	if (directory == NULL && errno == ENOENT)
		return (Datum) 0;
	while ((entry = ReadDir(directory, name)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		share_list(rsinfo, entry->d_name);
	}
	FreeDir(directory);
	return (Datum) 0;
}

/* SQL: model_file_remove(name text) returns boolean */
PGDLLEXPORT Datum
model_file_remove(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char space[VARHDRSZ + HASH_BYTES];
	char directory[SHARE_DIRECTORY_SIZE];
	char path[MAXPGPATH];

	if (strlen(name) < 2 * HASH_BYTES || strchr(name, '/') != NULL ||
		!share_name_hash(name, (bytea *) space))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not the file of a model", name),
						errhint("model_files() lists the files.")));
	share_directory(directory);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (unlink(path) == 0)
		PG_RETURN_BOOL(true);
	if (errno != ENOENT)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not remove file \"%s\": %m", path)));
	PG_RETURN_BOOL(false);
}
