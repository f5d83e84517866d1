/* SPDX-License-Identifier: BSD-3-Clause */
/* What a region or a server of the host needs: a name that means something, rights, and to be usable for virtual machines. */
#include "discover/discover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vshm/layout.h>

#define PATH_SIZE VSHM_FOUND_URI_SIZE

/* Where distributions let one add to what libvirt's machines may open. */
#define APPARMOR_LOCAL "/etc/apparmor.d/local/abstractions/libvirt-qemu"

/* ---- what libvirt needs ---- */

static bool file_contains(const char *path, const char *text)
{
	char line[PATH_SIZE + 64];
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, text) != NULL;
	if (file)
		(void)fclose(file);
	return found;
}

static void diagnose_apparmor(struct vshmi_diagnosis *d, const char *path)
{
	char command[VSHM_COMMAND_SIZE];

	if (!vshmi_exists("/sys/kernel/security/apparmor") ||
	    !vshmi_exists("/etc/apparmor.d/abstractions/libvirt-qemu"))
		return;
	if (file_contains(APPARMOR_LOCAL, path)) {
		vshmi_say(d, VSHM_FINDING_OK, "apparmor", NULL,
			  "AppArmor lets libvirt's machines open it (" APPARMOR_LOCAL ")");
		return;
	}
	VSHMI_TEXT(command, "echo '%s rw,' >> " APPARMOR_LOCAL " && systemctl reload apparmor", path);
	vshmi_say(d, VSHM_FINDING_HINT, "apparmor", command,
		  "libvirt's machines may not open it: AppArmor needs a rule");
}

/* Types of files that virtual machines may open begin with svirt_ (container-selinux, selinux-policy: virt.te). */
static void diagnose_selinux(struct vshmi_diagnosis *d, const char *path)
{
	char label[256], command[VSHM_COMMAND_SIZE];
	ssize_t length;

	if (!vshmi_exists("/sys/fs/selinux/enforce") || !vshmi_exists("/etc/libvirt"))
		return;
	length = getxattr(path, "security.selinux", label, sizeof(label) - 1);
	label[length > 0 ? length : 0] = '\0';
	if (strstr(label, "svirt_")) {
		vshmi_say(d, VSHM_FINDING_OK, "selinux", NULL, "SELinux lets libvirt's machines open it (%.100s)",
			  label);
		return;
	}
	VSHMI_TEXT(command, "semanage fcontext -a -t svirt_tmpfs_t '%s' && restorecon %s", path, path);
	vshmi_say(d, VSHM_FINDING_HINT, "selinux", command,
		  "libvirt's machines may not open it: SELinux calls it %.100s", *label ? label : "nothing");
}

static void diagnose_size(struct vshmi_diagnosis *d)
{
	const uint64_t size = d->found->size;
	uint64_t next = 1;
	char option[32];

	while (next < size)
		next *= 2;
	if (d->found->profile == VSHM_FLAT && size && next != size)
		vshmi_say(
			d, VSHM_FINDING_HINT, "size", NULL,
			"its size, %llu bytes, is no power of two: it cannot be the memory of a device; for that, make it with --size "
			"%s",
			(unsigned long long)size, vshmi_size_option(option, sizeof(option), next));
}

static void diagnose_huge(struct vshmi_diagnosis *d, const char *path)
{
	struct statfs facts;

	if (!statfs(path, &facts) && (unsigned long)facts.f_type == HUGETLBFS_MAGIC)
		vshmi_say(d, VSHM_FINDING_OK, "hugetlbfs", NULL, "lies on huge pages of %lld KiB",
			  (long long)facts.f_bsize / 1024);
}

/* ---- rights ---- */

static void diagnose_mode(struct vshmi_diagnosis *d, const char *path)
{
	struct stat facts;
	char command[VSHM_COMMAND_SIZE];

	if (stat(path, &facts) || !S_ISREG(facts.st_mode))
		return;
	if (facts.st_mode & S_IWOTH) {
		VSHMI_TEXT(command, "chmod o-w %s", path);
		vshmi_say(d, VSHM_FINDING_HINT, "permission", command, "everybody may write it (mode %04o)",
			  (unsigned)facts.st_mode & 07777u);
	} else if (!vshmi_may(path, W_OK)) {
		vshmi_say(d, VSHM_FINDING_HINT, "permission", NULL,
			  "you may look at it, and not take part: it is not writable for you");
	}
}

/* A name in the run directory that is not believed. */
static void diagnose_registration(struct vshmi_diagnosis *d)
{
	struct stat facts;
	char command[VSHM_COMMAND_SIZE] = "";

	if (!lstat(d->found->place, &facts) && S_ISREG(facts.st_mode) && facts.st_mode & 022)
		VSHMI_TEXT(command, "chmod go-w %s", d->found->place);
	vshmi_say(d, VSHM_FINDING_PROBLEM, "registration", command, "%s", d->found->why);
}

/* ---- regions ---- */

static void diagnose_broken(struct vshmi_diagnosis *d)
{
	const struct vshm_found *found = d->found;
	char command[VSHM_COMMAND_SIZE], path[PATH_SIZE];

	if (found->flags & VSHM_FOUND_UNREADABLE) {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "permission", NULL, "%s", found->why);
	} else if (found->error == -ENOENT && found->flags & VSHM_FOUND_REGISTERED) {
		VSHMI_TEXT(command, "vshmctl destroy %s", found->name);
		vshmi_say(d, VSHM_FINDING_PROBLEM, "registration", command,
			  "the name is registered, and what it stands for is gone: %s", found->uri);
	} else if (found->error == -EPROTO && !vshmi_uri_path(found->uri, path, sizeof(path)) && found->name[0]) {
		VSHMI_TEXT(command, "vshmctl create %s --path %s --force", found->name, path);
		vshmi_say(d, VSHM_FINDING_PROBLEM, "format", command, "%s", found->why);
	} else if (found->flags & VSHM_FOUND_REGISTERED) {
		diagnose_registration(d);
	} else {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "region", NULL, "%s", found->why);
	}
}

static void diagnose_name(struct vshmi_diagnosis *d)
{
	if (!(d->found->flags & VSHM_FOUND_REGISTERED))
		vshmi_say(d, VSHM_FINDING_HINT, "registration", NULL, "is not registered: vshm:%s does not find it",
			  d->found->name);
}

static void diagnose_good(struct vshmi_diagnosis *d)
{
	const struct vshm_found *found = d->found;
	char path[PATH_SIZE], who[VSHM_WHY_SIZE];

	vshmi_say(d, VSHM_FINDING_OK, "region", NULL, "holds the region %s: %u of %u peers attached", found->name,
		  (unsigned)found->live, (unsigned)found->peers);
	diagnose_name(d);
	vshmi_holders_text(found, who, sizeof(who));
	if (*who)
		vshmi_say(d, VSHM_FINDING_OK, "held", NULL, "is open in %s", who);
	if (vshmi_uri_path(found->uri, path, sizeof(path)))
		return;
	diagnose_mode(d, path);
	diagnose_size(d);
	diagnose_huge(d, path);
	diagnose_apparmor(d, path);
	diagnose_selinux(d, path);
}

/* ---- servers ---- */

/* Only a socket that nobody has is to be removed: a live server without one is lost to all that come. */
static void diagnose_no_server(struct vshmi_diagnosis *d)
{
	char command[VSHM_COMMAND_SIZE];

	if (d->found->error == -EACCES) {
		vshmi_say(d, VSHM_FINDING_HINT, "permission", NULL, "%s; ask as root", d->found->why);
	} else if (d->found->error != -EPIPE) {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "server", NULL, "%s", d->found->why);
	} else {
		VSHMI_TEXT(command, "rm %.1000s", d->found->place);
		vshmi_say(d, VSHM_FINDING_PROBLEM, "server", command,
			  "nobody listens there: a server left it when it died; start that again, or remove it");
	}
}

static void diagnose_server(struct vshmi_diagnosis *d)
{
	if (d->found->error) {
		diagnose_no_server(d);
		return;
	}
	vshmi_say(d, VSHM_FINDING_OK, "server", NULL, "a server listens");
	if (!vshmi_may(d->found->place, W_OK))
		vshmi_say(d, VSHM_FINDING_HINT, "permission", NULL,
			  "you may not connect to it: see allow= and mode= in its configuration");
	diagnose_apparmor(d, d->found->place);
}

void vshmi_diagnose_host(struct vshmi_diagnosis *d)
{
	if (d->found->kind == VSHM_FOUND_SERVER)
		diagnose_server(d);
	else if (d->found->error)
		diagnose_broken(d);
	else
		diagnose_good(d);
}
