#!/bin/bash
#SBATCH --job-name=pets
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --requeue

# One torchrun on each host; the first host of the job is where they find each other. /shared is on all of them.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node 8 --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "$head:29400" --rdzv-id "$SLURM_JOB_ID" \
  -m diptych fit flow /shared/photos/ -o /shared/models/pets-flow --epochs 100 --batch 1024
