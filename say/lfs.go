package say

// NoLFS tells somebody who pushes with Git LFS what to do.
const NoLFS = "Git LFS is not supported: git lfs migrate export --include=FILES puts the files into " +
	"the repository, and git lfs ls-files lists them"
